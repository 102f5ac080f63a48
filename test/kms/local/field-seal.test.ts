/** Field seals over a real key store whose KEKs lie in key files. */
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createFieldSeal, keyStoreSource } from '../../../src/index.js';
import type { FieldSeal, FieldSealEvent } from '../../../src/index.js';
import { localKeks } from '../../../src/kms/local/local-keks.js';
import { migrateKeyStore, postgresKeyStore } from '../../../src/store/postgres.js';
import { freshDatabase, type FreshDatabase } from '../../database.js';
import { failure } from '../kms.js';
import { expectNoKey, keyFile, type KeyFile } from './key-files.js';

const PURPOSE = 'card-number';
const PAN = '4000000000000002';

let database: FreshDatabase;
beforeAll(async () => {
  database = await freshDatabase();
  await migrateKeyStore({ connectionString: database.url });
});
afterAll(() => database.drop());

function open(
  environment: string,
  keks: readonly KeyFile[],
  openKeks: readonly KeyFile[] = [],
  onEvent: (event: FieldSealEvent) => void = () => undefined,
): Promise<FieldSeal> {
  const paths = (files: readonly KeyFile[]) => ({ [PURPOSE]: files.map(({ path }) => path) });
  return createFieldSeal({
    application: 'shop',
    environment,
    purposes: { [PURPOSE]: { pool: { validKeys: 4, handOut: 2 } } },
    keys: keyStoreSource({
      store: postgresKeyStore({ connectionString: database.url }),
      kms: localKeks({ keks: paths(keks), openKeks: paths(openKeks) }),
    }),
    onEvent,
  });
}

async function sealOnce(seal: FieldSeal): Promise<Buffer> {
  const cell = seal.seal(PURPOSE, 'cards.pan', PAN);
  await seal.close();
  return cell;
}

async function openOnce(seal: FieldSeal, cell: Buffer): Promise<unknown> {
  try {
    return await seal.open(PURPOSE, 'cards.pan', cell);
  } finally {
    await seal.close();
  }
}

const wraps = (environment: string): Promise<readonly Record<string, unknown>[]> =>
  database.query(
    'SELECT w.* FROM fieldseal.key_wraps w JOIN fieldseal.data_keys k USING (fingerprint) WHERE k.environment = $1',
    [environment],
  );

describe('a field seal with local KEKs', () => {
  it('opens what an earlier one sealed, and tells the key nowhere', async () => {
    const [a, b] = [await keyFile(), await keyFile()];
    const events: FieldSealEvent[] = [];
    const cell = await sealOnce(await open('one', [a, b], [], (event) => events.push(event)));
    const next = await open('one', [b, a], [], (event) => events.push(event));
    expect(next.stats().kmsCalls).toEqual({ Decrypt: 4 });
    expect(await openOnce(next, cell)).toBe(PAN);

    const stored = await wraps('one');
    expect(new Set(stored.map(({ kek }) => kek))).toEqual(new Set([a.name, b.name]));
    expectNoKey(JSON.stringify([events, stored]), a.keyBytes, b.keyBytes);
    expect(events.filter(({ type }) => type === 'warning' || type === 'alarm')).toEqual([]);
  });

  it('says that one file alone opens everything', async () => {
    const events: FieldSealEvent[] = [];
    await sealOnce(await open('alone', [await keyFile()], [], (event) => events.push(event)));
    expect(events).toContainEqual(
      expect.objectContaining({ type: 'warning', code: 'ERR_CONFIG_KEK_SPREAD' }),
    );
  });

  it('goes on with a retired file in openKeks, and makes new keys under the other', async () => {
    const [a, b] = [await keyFile(), await keyFile()];
    const cell = await sealOnce(await open('retired', [a]));
    expect(await openOnce(await open('retired', [b], [a]), cell)).toBe(PAN);
  });

  it('does not start without the file that its keys are wrapped under', async () => {
    const [a, b] = [await keyFile(), await keyFile()];
    await sealOnce(await open('lost', [a]));
    rmSync(a.path);
    await failure('ERR_KMS_KEK_UNUSABLE', open('lost', [a]));
    await failure('ERR_KMS_KEK_UNUSABLE', open('lost', [b], [a]));
    await failure('ERR_KMS_KEK_NOT_CONFIGURED', open('lost', [b]));
  });

  it('does not use a wrap that was moved to another row of the key store', async () => {
    const a = await keyFile();
    for (const environment of ['source', 'moved']) await sealOnce(await open(environment, [a]));
    await database.query(
      `UPDATE fieldseal.key_wraps w SET wrapped = o.wrapped FROM fieldseal.key_wraps o
       JOIN fieldseal.data_keys ok ON ok.fingerprint = o.fingerprint AND ok.environment = 'source' AND ok.kind = 'store'
       WHERE w.fingerprint = (SELECT fingerprint FROM fieldseal.data_keys WHERE environment = 'moved' AND kind = 'store')`,
    );
    await failure('ERR_KMS_WRAP_REFUSED', open('moved', [a]));
  });
});
