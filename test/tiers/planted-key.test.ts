/**
 * Whoever has taken the web tier over and can write to the key store knows data keys of his own making, wrapped by the right
 * KEK. He puts them where others would take them for keys to seal under.
 */
import { GenerateDataKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DataKey } from '../../src/cell/data-key.js';
import { createFieldSeal, keyStoreSource, type FieldSealEvent } from '../../src/index.js';
import { awsKms } from '../../src/kms/aws.js';
import { postgresKeyStore } from '../../src/store/postgres.js';
import { TestKeyStore } from '../service/key-store-fixture.js';
import { openTiers, type Tiers } from './fixture.js';

const SCOPE = { application: 'shop', environment: 'test' } as const;
const PURPOSE = 'card-number';
const PURPOSES = { [PURPOSE]: { pool: { validKeys: 3, handOut: 3, futureKeys: 1 } } } as const;

/** The last three as SQL. */
interface PlantedKey {
  readonly fingerprint: string;
  readonly commitment: string;
  readonly wrapped: string;
  readonly kek: string;
}

let tiers: Tiers;
let keyStore: TestKeyStore;
let web: KMSClient;
let planted: PlantedKey;

beforeAll(async () => {
  tiers = await openTiers();
  const { region, endpoint } = tiers.kms;
  web = new KMSClient({ region, endpoint, credentials: tiers.kms.credentials('web'), maxAttempts: 1 });
});
afterAll(async () => {
  web.destroy();
  await tiers.close();
});
beforeEach(async () => {
  keyStore = await TestKeyStore.create();
  await (await open()).seal.close();
  planted = await makeKey();
});
afterEach(() => keyStore.drop());

/** A process of the application, which makes and hands out keys. */
async function open() {
  const events: FieldSealEvent[] = [];
  const seal = await createFieldSeal({
    ...SCOPE,
    purposes: PURPOSES,
    keys: keyStoreSource({
      store: postgresKeyStore({ connectionString: keyStore.database.url }),
      kms: awsKms(tiers.kmsOptions('key-service')),
    }),
    onEvent: (event) => events.push(event),
  });
  return { seal, events };
}

/** A key that the attacker knows, with the only context that his credentials allow, and what he would write for it. */
async function makeKey(): Promise<PlantedKey> {
  const EncryptionContext = { ...SCOPE, purpose: PURPOSE, kind: 'data', delivery: 'envelope' };
  const made = await web.send(
    new GenerateDataKeyCommand({ KeyId: 'alias/card-a', NumberOfBytes: 32, EncryptionContext }),
  );
  const { fingerprint, commitment } = DataKey.derive(Buffer.from(made.Plaintext!), {
    ...SCOPE,
    purpose: PURPOSE,
  });
  const hex = (bytes: Uint8Array): string => `'\\x${Buffer.from(bytes).toString('hex')}'`;
  return {
    fingerprint,
    commitment: hex(commitment),
    wrapped: hex(made.CiphertextBlob!),
    kek: `'${made.KeyId!}'`,
  };
}

const fingerprints = async (): Promise<unknown[]> =>
  (
    await keyStore.database.query(
      "SELECT fingerprint FROM fieldseal.data_keys WHERE kind = 'data' AND state = 'ENCRYPT' ORDER BY fingerprint",
    )
  ).map(({ fingerprint }) => fingerprint);

/** Fingerprints of what a process seals with that starts now; none where it does not start. */
async function sealsUnder(): Promise<readonly string[]> {
  let opened: Awaited<ReturnType<typeof open>>;
  try {
    opened = await open();
  } catch (error) {
    expect(error).toMatchObject({ code: expect.stringMatching(/^ERR_(STORE|KEY|KMS|POOL)_/u) as unknown });
    return [];
  }
  const { seal, events } = opened;
  const cells = Array.from({ length: 50 }, () => seal.seal(PURPOSE, 'cards.pan', '4111111111111111'));
  await seal.close();
  expect(events.filter(({ type }) => type === 'alarm')).not.toEqual([]);
  return [...new Set(cells.map((cell) => uuidOf(cell.subarray(2, 18))))];
}

const uuidOf = (bytes: Buffer): string =>
  bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/u, '$1-$2-$3-$4-$5');

describe('a key that was planted in the key store', () => {
  it('is not taken as a row of its own, copied from one that seals', async () => {
    const { commitment, wrapped, kek } = planted;
    const [one] = await fingerprints();
    await keyStore.force(`
      INSERT INTO data_keys SELECT (jsonb_populate_record(d, jsonb_build_object('fingerprint', '${planted.fingerprint}',
        'commitment', ${commitment}))).* FROM data_keys d WHERE fingerprint = '${String(one)}';
      INSERT INTO key_wraps SELECT (jsonb_populate_record(w, jsonb_build_object('fingerprint', '${planted.fingerprint}',
        'kek', ${kek}, 'wrapped', ${wrapped}))).* FROM key_wraps w WHERE fingerprint = '${String(one)}'`);
    expect(await fingerprints()).toContain(planted.fingerprint);
    expect(await sealsUnder()).not.toContain(planted.fingerprint);
  });

  it('is not taken in the place of one that seals, under its name', async () => {
    const { wrapped, kek } = planted;
    const before = await fingerprints();
    await keyStore.force(`UPDATE key_wraps SET wrapped = ${wrapped}, kek = ${kek}
      WHERE fingerprint IN (SELECT fingerprint FROM data_keys WHERE kind = 'data' AND state = 'ENCRYPT')`);
    expect((await sealsUnder()).filter((one) => before.includes(one))).toEqual([]);
  });

  it('is not taken in the place of one that seals, under its own name', async () => {
    const { commitment, wrapped, kek } = planted;
    const [one] = await fingerprints();
    await keyStore.force(`
      UPDATE data_keys SET fingerprint = '${planted.fingerprint}', commitment = ${commitment} WHERE fingerprint = '${String(one)}';
      UPDATE key_wraps SET fingerprint = '${planted.fingerprint}', wrapped = ${wrapped}, kek = ${kek} WHERE fingerprint = '${String(one)}'`);
    expect(await sealsUnder()).not.toContain(planted.fingerprint);
  });
});

it('a data key for a cell is the only kind that the web tier can make', async () => {
  for (const change of [
    { delivery: 'pool' },
    { kind: 'store' },
    { kind: 'index' },
    { environment: 'production' },
  ]) {
    const EncryptionContext = { ...SCOPE, purpose: PURPOSE, kind: 'data', delivery: 'envelope', ...change };
    await expect(
      web.send(new GenerateDataKeyCommand({ KeyId: 'alias/card-a', NumberOfBytes: 32, EncryptionContext })),
    ).rejects.toMatchObject({ name: 'AccessDeniedException' });
  }
});
