/** What a user's application does, in the words of any toolchain: no top-level await, no emitted type metadata. */
import 'reflect-metadata';
import { createFieldSeal, keyStoreSource } from 'fieldseal';
import { awsKms } from 'fieldseal/aws-kms';
import { postgresKeyStore } from 'fieldseal/postgres';
import { attachFieldSeal, Encrypted } from 'fieldseal/typeorm';
import { Column, DataSource, Entity, PrimaryColumn } from 'typeorm';

@Entity('card')
class Card {
  @PrimaryColumn('uuid') id!: string;
  @Encrypted({ purpose: 'card-number', blindIndex: { unique: true }, bind: ['id'] }) pan!: string;
  @Encrypted({ purpose: 'card-number', type: 'json', nullable: true }) owner!: { name: string } | null;
  @Column('text') label!: string;
}

const PAN = '4111111111111111';

/** Saves a card, changes it and finds it by its number; says what was found, and the first byte of the cell. */
export async function sellOne(): Promise<string> {
  const seal = await createFieldSeal({
    application: 'shop',
    environment: 'test',
    purposes: { 'card-number': {} },
    keys: keyStoreSource({
      store: postgresKeyStore({ connectionString: process.env.KEY_STORE_URL! }),
      kms: awsKms({ region: 'eu-central-1', keks: { 'card-number': ['alias/card-a', 'alias/card-b'] } }),
    }),
  });
  const url = process.env.DATABASE_URL!;
  const plain = new DataSource({
    type: 'postgres',
    url,
    entities: [Card],
    synchronize: true,
    dropSchema: true,
  });
  const dataSource = attachFieldSeal(plain, seal);
  await dataSource.initialize();
  try {
    const cards = dataSource.getRepository(Card);
    const id = '6f1c1f0e-3b0a-4a51-8d5c-0d3a3e3f2b11';
    await cards.save({ id, pan: PAN, owner: { name: 'Ada' }, label: 'private' });
    await cards.update({ pan: PAN }, { label: 'shared' });
    const { pan, owner, label } = await cards.findOneByOrFail({ pan: PAN });
    const [row] = await dataSource.query<{ pan: Buffer }[]>('SELECT pan FROM card');
    return `${pan} of ${owner?.name}, ${label}, in a cell that begins with ${row?.pan[0]?.toString(16)}`;
  } finally {
    await dataSource.destroy();
    await seal.close();
  }
}
