// A release with the real typeorm-encrypted: makes its table and rows, and writes until a file says to stop.
import 'reflect-metadata';
import { existsSync } from 'node:fs';
import { argv, env, stdout } from 'node:process';
import { DataSource, EntitySchema } from 'typeorm';
import { EncryptionTransformer } from 'typeorm-encrypted';

const transformer = new EncryptionTransformer({
  key: env.LEGACY_KEY,
  algorithm: 'aes-256-cbc',
  ivLength: 16,
});
const gcm = new EncryptionTransformer({ key: env.LEGACY_KEY, algorithm: 'aes-256-gcm', ivLength: 12 });

const Card = new EntitySchema({
  name: 'Card',
  tableName: 'cards',
  columns: {
    id: { type: 'uuid', primary: true, generated: 'uuid' },
    pan: { type: 'varchar', nullable: true, transformer },
    updatedAt: { type: 'timestamp', updateDate: true },
    deletedAt: { type: 'timestamp', deleteDate: true, nullable: true },
  },
});

const ROWS = 1_100;
const pan = (n) => String(4_000_000_000_000_000 + n);

const WORK = {
  fill: async () => {
    await dataSource.synchronize();
    await cards.insert(Array.from({ length: ROWS }, (_, n) => ({ pan: n % 100 === 99 ? null : pan(n) })));
    const [{ id }] = await cards.find({ take: 1 });
    await cards.softDelete({ id });
    return { gcm: gcm.to(pan(0)), deleted: id };
  },
  write: async () => {
    const ids = await cards.find({ select: { id: true } });
    let writes = 0;
    for (const { id } of ids) {
      if (existsSync(env.STOP_FILE)) break;
      await cards.update({ id }, { pan: pan(5_000 + writes) });
      await cards.insert({ pan: pan(10_000 + writes) });
      writes += 2;
    }
    return writes;
  },
  // What this release sees: the way back.
  read: async () => (await cards.find({ withDeleted: true })).map(({ id, pan }) => [id, pan ?? null]),
};

const dataSource = await new DataSource({
  type: 'postgres',
  url: env.DATABASE_URL,
  entities: [Card],
  uuidExtension: 'pgcrypto',
  installExtensions: false,
}).initialize();
const cards = dataSource.getRepository(Card);
stdout.write(JSON.stringify(await WORK[argv[2]]()));
await dataSource.destroy();
