/** The shop of the example application for tests, and everything that it logged. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { canariesIn } from '@fieldseal/test-support';
import { DataSource } from 'typeorm';
import { recordKey } from '../canary.js';
import {
  LocalShop,
  type LocalShopOptions,
  type TierName,
} from '../../example-app/lib/local-shop/local-shop.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const compiled = join(root, 'example-app/dist');

export interface TestShop {
  readonly shop: LocalShop;
  /** Everything in the shop's database, as it is. */
  readonly owner: DataSource;
  /** The books of the simulated acquirer. */
  readonly books: DataSource;
  /** Path of a compiled program. */
  program(name: TierName): string;
  /** Those of the texts, and those data keys, that stand in the output of any tier or in the log of PostgreSQL, which has every statement. */
  logged(texts: readonly string[]): string[];
  /** All that was logged, as text of one character a byte. */
  logs(): string;
  stop(): Promise<void>;
}

/** PostgreSQL and KMS without tiers. The programs are built where they must be. */
export async function openShop(options: Pick<LocalShopOptions, 'cardDelivery'> = {}): Promise<TestShop> {
  execFileSync(process.execPath, ['tools/ensure-example.mjs'], { cwd: root });
  const folder = mkdtempSync(join(tmpdir(), 'fieldseal-shop-'));
  const postgresLog = join(folder, 'postgres.log');
  writeFileSync(postgresLog, '');
  const keys: Buffer[] = [];
  const shop = await LocalShop.start({
    ...options,
    compiled,
    postgresLog,
    unsafeOnDataKey: (bytes) => {
      recordKey(bytes);
      keys.push(bytes);
    },
  });
  const connect = (url: string): Promise<DataSource> =>
    new DataSource({ type: 'postgres', url }).initialize();
  const owner = await connect(shop.databases.admin);
  const books = await connect(shop.databases.acquirer);
  await owner.query(`ALTER DATABASE shop SET log_statement = 'all'`);
  const logs = (): string => [...shop.outputs().map(bytesOf), readFileSync(postgresLog, 'latin1')].join('\n');
  return {
    ...{ shop, owner, books, logs },
    program: (name) => join(compiled, 'bin', `${name}.js`),
    logged: (texts) => canariesIn(logs(), [...texts.map((text) => Buffer.from(text)), ...keys]).map(String),
    stop: async () => {
      await owner.destroy();
      await books.destroy();
      await shop.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

const bytesOf = (text: string): string => Buffer.from(text).toString('latin1');
