/** docs/key-life-cycle.md: its tables against the code, its numbers and statements on the real thing. */
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createFieldSeal, keyStoreSource } from '../../src/index.js';
import type { FieldSeal, FieldSealEvent } from '../../src/index.js';
import { awsKms } from '../../src/kms/aws.js';
import { startKmsEmulator, type KmsEmulator } from '../../src/kms/emulator/emulator.js';
import { WRAPPED_BYTES } from '../../src/kms/local/local-kek.js';
import { localKeks } from '../../src/kms/local/local-keks.js';
import { parsePolicy, type PurposeOptions } from '../../src/keys/policy.js';
import type { KeyStore } from '../../src/keys/ports.js';
import {
  assertMove,
  KEY_STATES,
  stateOpens,
  stateSeals,
  type KeyState,
  type KeyUser,
} from '../../src/keys/states.js';
import { memoryKeyStore } from '../../src/store/memory.js';
import { migrateKeyStore, postgresKeyStore } from '../../src/store/postgres.js';
import { recordKey } from '../canary.js';
import { freshDatabase, type FreshDatabase } from '../database.js';
import { blocks, readDocument, tableUnder } from './document.js';

const text = readDocument('key-life-cycle.md');
const USERS: readonly KeyUser[] = ['application', 'recrypt', 'restore'];
const DAY_MS = 86_400_000;
const UNIT_MS: Readonly<Record<string, number>> = { h: 3_600_000, d: DAY_MS };

describe('the table of states', () => {
  const rows = tableUnder(text, '## States');

  it('has every state once', () => {
    expect(rows.map(([state]) => state)).toEqual([...KEY_STATES]);
  });

  it.each(rows)('is true of %s (%s)', (name, _nist, seals, opens, moves) => {
    const state = name as KeyState;
    expect(seals).toBe(stateSeals(state) ? 'yes' : 'no');
    expect(opens).toBe(USERS.filter((user) => stateOpens(state, user)).join(', ') || 'nobody');
    const listed = moves.replaceAll(/\(.*?\)/gu, '').split(',');
    expect(listed.map((move) => move.trim()).filter(Boolean)).toEqual(
      KEY_STATES.filter((to) => KEY_STATES.some((before) => isLegal(state, to, before))),
    );
  });
});

describe('the table of settings', () => {
  const rows = tableUnder(text, '## Settings of a purpose');
  const policy = flatten(parsePolicy('card-number'));

  it('has every setting once', () => {
    const settings = Object.keys(policy).map((path) => path.replace(/Ms$/u, ''));
    expect(rows.map(([setting]) => setting).sort()).toEqual(
      settings.filter((path) => path !== 'purpose').sort(),
    );
  });

  it.each(rows.map(([setting, shown]) => [setting!, shown!]))(
    'has the default of %s: %s',
    (setting, shown) => {
      const own = policy[setting] ?? policy[`${setting}Ms`];
      if (shown === 'none') expect(own).toBeUndefined();
      else if (shown === 'one pool.lifetime') expect(own).toBe(policy['pool.lifetimeMs']);
      else if (shown.startsWith('the ')) expect(own).toEqual([policy[shown.slice('the '.length)]]);
      else expect(own).toEqual(valueOf(shown));
    },
  );
});

describe('the numbers', () => {
  let kms: KmsEmulator;
  beforeAll(async () => {
    kms = await startKmsEmulator({ createKeys: ['alias/a', 'alias/b'], unsafeOnPlaintext: recordKey });
  });
  afterAll(() => kms.close());

  const policies: readonly PurposeOptions[] = [
    {},
    { pool: { validKeys: 5, handOut: 2, futureKeys: 4 }, index: { versions: [2, 1] } },
  ];

  it.each(policies)('of KMS calls are right for the settings %j', async (options) => {
    const { pool, index } = parsePolicy('x', options);
    const [V, F, H, I] = [pool.validKeys, pool.futureKeys, pool.handOut, index.versions.length];
    const [first, later, refresh] = tableUnder(text, '## Numbers').map((row) =>
      row.slice(2, 4).map((formula) => evaluate(formula, { V, F, H, I })),
    );
    const store = memoryKeyStore();
    const started = await callsOfStart(kms, store, options);
    expect(started).toEqual([2, ...first!]);
    expect(await callsOfStart(kms, store, options)).toEqual([2, ...later!]);

    const source = sourceOf(kms, store);
    const seal = await createFieldSeal({
      application: 'shop',
      environment: 'test',
      purposes: { x: options },
      keys: source,
    });
    const before = callsOf(seal);
    for (const key of await source.handOut('x', [])) key.root.fill(0);
    expect(callsOf(seal).map((calls, i) => calls - before[i]!)).toEqual([0, ...refresh!]);
    await seal.close();
  });

  it('of KMS calls are right for key pairs', async () => {
    const { pool, index } = parsePolicy('x');
    const [V, F, I] = [pool.validKeys, pool.futureKeys, index.versions.length];
    const [first, later] = tableUnder(text, '## Numbers').map((row) =>
      row.slice(2, 4).map((formula) => evaluate(formula, { V, F, H: 0, I })),
    );
    const store = memoryKeyStore();
    const [, made, unwrapped] = await callsOfStart(kms, store, { delivery: 'sealed' });
    expect([made! + V + F, unwrapped]).toEqual(first);
    const pairs = kms.audit().filter(({ event }) => event === 'GenerateDataKeyPairWithoutPlaintext');
    expect(pairs).toHaveLength(V + F);
    expect(await callsOfStart(kms, store, { delivery: 'sealed' })).toEqual([2, ...later!]);
  });

  it('of the column with the defaults are the same formulas with the defaults', () => {
    const shown = tableUnder(text, '## Numbers').map((row) => row.at(-1));
    const row = (formulas: readonly string[], keks: number): string =>
      [keks, ...formulas.map((formula) => evaluate(formula, { V: 15, F: 3, H: 3, I: 1 }))].join(' + ');
    expect(shown).toEqual(
      tableUnder(text, '## Numbers').map((cells, i) => row(cells.slice(2, 4), i < 2 ? 2 : 0)),
    );
  });

  it.each([
    ['aes-256-siv', 50],
    ['xaes-256-gcm', 58],
  ] as const)('of bytes over a value are right for %s', async (suite, overhead) => {
    expect(text).toContain(
      `${overhead} ${suite === 'aes-256-siv' ? 'bytes over its value ' : ''}with \`${suite}\``,
    );
    const keys = sourceOf(kms, memoryKeyStore());
    const seal = await createFieldSeal({
      application: 'shop',
      environment: 'test',
      purposes: { x: { suite } },
      keys,
    });
    expect(seal.seal('x', 'cards.pan', '4111111111111111')).toHaveLength(16 + overhead);
    await seal.close();
  });

  it('of replacement follow from the settings: one key about every two days', async () => {
    const store = memoryKeyStore();
    await callsOfStart(kms, store, {});
    const scope = { application: 'shop', environment: 'test', purpose: 'x' };
    const keys = await store.list(scope, { kinds: ['data'], states: ['ENCRYPT'] });
    const ends = keys.map((key) => (key.retires!.getTime() - key.activates!.getTime()) / DAY_MS);
    expect(ends.sort((a, b) => a - b)).toEqual(Array.from({ length: 15 }, (_, i) => 2 * (i + 1)));
  });
});

describe('the policy for the KMS', () => {
  it.each([
    [[], undefined],
    [['kms:DescribeKey'], 'ERR_KMS_DENIED'],
    [['kms:GenerateDataKey'], 'ERR_KMS_DENIED'],
    [['kms:Decrypt'], 'ERR_KMS_DENIED'],
  ] as const)('is what a first start needs, less %j is not', async (without, code) => {
    const policy = documentedPolicy(without);
    const principal = {
      name: 'shop',
      accessKeyId: 'SHOPACCESSKEY001',
      secretAccessKey: 'shop-secret-of-a-test',
      policy,
    };
    const kms = await startKmsEmulator({
      createKeys: ['alias/a', 'alias/b'],
      policy: { principals: [principal] },
    });
    const start = createFieldSeal({
      application: 'shop',
      environment: 'production',
      purposes: { 'card-number': {} },
      keys: sourceOf(kms, memoryKeyStore(), 'card-number', 'shop'),
    });
    try {
      if (code === undefined) await (await start).close();
      else await expect(start).rejects.toMatchObject({ code });
    } finally {
      await kms.close();
    }
  });
});

describe('SQL of the document', () => {
  let kms: KmsEmulator;
  let database: FreshDatabase;
  beforeAll(async () => {
    [kms, database] = await Promise.all([
      startKmsEmulator({ createKeys: ['alias/a', 'alias/b'] }),
      freshDatabase(),
    ]);
    await migrateKeyStore({ connectionString: database.url });
  });
  afterAll(() => Promise.all([kms.close(), database.drop()]));

  const [stop, showStoreKey, showKeks] = blocks(text, 'sql') as [string, string, string];

  it('stops a key by hand and lets it go again, pins the store key, counts keys per KEK', async () => {
    const events: FieldSealEvent[] = [];
    const options = { application: 'shop', environment: 'test', purposes: { x: { pool: { validKeys: 3 } } } };
    const keys = (): ReturnType<typeof sourceOf> =>
      sourceOf(kms, postgresKeyStore({ connectionString: database.url }));
    const seal = await createFieldSeal({ ...options, keys: keys(), onEvent: (event) => events.push(event) });
    const cell = seal.seal('x', 'cards.pan', '4111111111111111');
    const [key] = await database.query(
      `SELECT fingerprint FROM fieldseal.data_keys WHERE uuid_send(fingerprint) = $1`,
      [cell.subarray(2, 18)],
    );
    const fingerprint = String(key?.fingerprint);

    await database.query(stop.replace('…', fingerprint));
    await vi.waitFor(() => {
      expect(events).toContainEqual({ type: 'key-revoked', purpose: 'x', fingerprint });
    }, 10_000);
    await expect(seal.open('x', 'cards.pan', cell)).rejects.toMatchObject({ code: 'ERR_STORE_ROW_MAC' });
    expect(events).toContainEqual(
      expect.objectContaining({ type: 'alarm', code: 'ERR_STORE_ROW_MAC', fingerprint }),
    );
    seal.seal('x', 'cards.pan', '4111111111111111');

    await database.query(stop.replace('…', fingerprint).replace('SUSPENDED', 'ENCRYPT'));
    expect(await seal.open('x', 'cards.pan', cell)).toBe('4111111111111111');
    await seal.close();

    const [storeKey] = await database.query(showStoreKey);
    const pinned = { ...options.purposes.x, storeKey: String(storeKey?.fingerprint) };
    await (await createFieldSeal({ ...options, purposes: { x: pinned }, keys: keys() })).close();
    const other = { x: { ...pinned, storeKey: fingerprint } };
    await expect(createFieldSeal({ ...options, purposes: other, keys: keys() })).rejects.toMatchObject({
      code: 'ERR_STORE_KEY',
    });

    const perKek = await database.query(showKeks);
    expect(new Set(perKek.map(({ kek }) => kek)).size).toBe(2);
    expect(perKek.reduce((sum, { count }) => sum + Number(count), 0)).toBe(8);
  });
});

describe('KEKs in files', () => {
  it('are made by the command and named by the program of the document', async () => {
    const [makeKek] = blocks(text, 'sh');
    const program = blocks(text, 'ts').find((block) => block.includes('.kek'));
    const path = /'(\/[^']+\.kek)'/u.exec(program!)![1]!;
    expect(makeKek).toContain(`npx fieldseal local-kek create ${path}\n`);
    expect(makeKek).toContain(`install -d -m 700 -o shop -g shop ${dirname(path)}\n`);
    expect(program).toContain("from 'fieldseal/local-keks'");
    const kms = localKeks({ keks: { 'card-number': [path] } });
    await expect(kms.start(['card-number'], () => undefined)).rejects.toMatchObject({
      code: 'ERR_KMS_KEK_UNUSABLE',
    });
    expect(text).toContain(`A wrap** is ${WRAPPED_BYTES} bytes`);
  });
});

function isLegal(from: KeyState, to: KeyState, before: KeyState): boolean {
  try {
    assertMove(from, to, before);
    return from !== 'SUSPENDED' || isLegal(before, 'SUSPENDED', before);
  } catch {
    return false;
  }
}

/** Settings by dotted path; lists are values. */
function flatten(value: object, prefix = ''): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, member]: [string, unknown]) =>
      typeof member === 'object' && member !== null && !Array.isArray(member)
        ? Object.entries(flatten(member, `${prefix}${name}.`))
        : [[prefix + name, member]],
    ),
  );
}

/** `'30d'`, `2^40`, `[1]`, `'pool'`, `15`, `false` as they stand in the table. */
function valueOf(shown: string): unknown {
  const [, amount, unit] = /^'(\d+)([hd])'$/u.exec(shown) ?? [];
  if (unit !== undefined) return Number(amount) * UNIT_MS[unit]!;
  const [, base, exponent] = /^(\d+)\^(\d+)$/u.exec(shown) ?? [];
  if (exponent !== undefined) return Number(base) ** Number(exponent);
  return JSON.parse(shown.replaceAll("'", '"')) as unknown;
}

/** `V + F + 1` with numbers in place of the letters. */
function evaluate(formula: string, values: Readonly<Record<string, number>>): number {
  return formula.split('+').reduce((sum, term) => sum + (values[term.trim()] ?? Number(term)), 0);
}

function sourceOf(kms: KmsEmulator, store: KeyStore, purpose = 'x', principal = 'local') {
  const keks = { [purpose]: ['alias/a', 'alias/b'] };
  const credentials = kms.credentials(principal);
  return keyStoreSource({
    store,
    kms: awsKms({ region: kms.region, endpoint: kms.endpoint, credentials, keks }),
  });
}

async function callsOfStart(
  kms: KmsEmulator,
  store: KeyStore,
  options: PurposeOptions,
): Promise<readonly number[]> {
  const seal = await createFieldSeal({
    application: 'shop',
    environment: 'test',
    purposes: { x: options },
    keys: sourceOf(kms, keptOpen(store)),
  });
  const calls = callsOf(seal);
  await seal.close();
  return calls;
}

function callsOf(seal: FieldSeal): readonly number[] {
  const { kmsCalls } = seal.stats();
  return ['DescribeKey', 'GenerateDataKey', 'Decrypt'].map((operation) => kmsCalls[operation] ?? 0);
}

/** The key store outlives the field seals of a test. */
function keptOpen(store: KeyStore): KeyStore {
  return new Proxy(store, {
    get: (target, name) => {
      if (name === 'close') return () => Promise.resolve();
      const member: unknown = Reflect.get(target, name);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}

/** The document's policy for all keys, without some actions. */
function documentedPolicy(without: readonly string[]) {
  const { Statement } = JSON.parse(blocks(text, 'json')[0]!) as {
    Statement: {
      Effect: 'Allow';
      Action: string | string[];
      Resource: string;
      Condition?: Record<string, Record<string, string>>;
    }[];
  };
  return {
    Statement: Statement.map((statement) => ({
      ...statement,
      Resource: '*',
      Action: [statement.Action].flat().filter((action) => !without.includes(action)),
    })).filter(({ Action }) => Action.length > 0),
  };
}
