/** Key pairs in a real key store, under KEKs of the KMS emulator: made, proven, listed, opened with, replaced, stopped. */
import { createHash, generateKeyPairSync } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { PrivateKey, PublicKey } from '../../src/cell/key-pair.js';
import {
  createFieldSeal,
  keyStoreSource,
  publicKeySource,
  type FieldSeal,
  type FieldSealEvent,
  type FieldSealOptions,
} from '../../src/index.js';
import type { KmsEmulator } from '../../src/kms/emulator/emulator.js';
import { PublicKeyLists } from '../../src/keys/public-key-list.js';
import type { KeyRecord, KeyStore } from '../../src/keys/ports.js';
import { rejection } from '../keys/seal-fixture.js';
import {
  alarmsOf,
  alarmsOfKeys,
  census,
  DAY_MS,
  HandClock,
  hasCode,
  HOUR_MS,
  kmsOf,
  makeSource,
  moveKey,
  type OpenedSource,
  SCOPE,
  type SourceSetup,
  START,
  startEmulator,
  startSource,
  withClock,
} from './fixture.js';
import { TestKeyStore } from './key-store-fixture.js';

const { purpose: PURPOSE, application, environment } = SCOPE;
const PAN = '4111111111111111';
const POOL = { validKeys: 4, futureKeys: 2 };
const SEALED = { [PURPOSE]: { delivery: 'sealed', pool: POOL } } as const;
const WHOLE_SET = { 'store ENCRYPT': 1, 'index ENCRYPT': 1, 'pair ENCRYPT': 4, 'pair FUTURE': 2 };

const signer = generateKeyPairSync('ed25519');

let emulator: KmsEmulator;
let keyStore: TestKeyStore;
let store: KeyStore;
const opened: OpenedSource[] = [];
const seals: FieldSeal[] = [];

beforeAll(async () => {
  emulator = await startEmulator();
});
afterAll(() => emulator.close());
beforeEach(async () => {
  keyStore = await TestKeyStore.create();
  store = keyStore.store();
});
afterEach(async () => {
  emulator.faults.clear();
  for (const { source } of opened.splice(0)) await source.close();
  for (const seal of seals.splice(0)) await seal.close();
  await store.close();
  await keyStore.drop();
});

async function start(setup: Partial<SourceSetup> = {}): Promise<OpenedSource> {
  const source = await startSource({ emulator, store: keyStore.store(), purposes: SEALED, ...setup });
  opened.push(source);
  return source;
}

const pairs = (...states: KeyRecord['state'][]): Promise<KeyRecord[]> =>
  store.list(SCOPE, { kinds: ['pair'], ...(states.length > 0 ? { states } : {}) });

const callsOf = ({ source }: OpenedSource, operation: string): number => source.kmsCalls()[operation] ?? 0;

async function listed({ source }: Pick<OpenedSource, 'source'>): Promise<string[]> {
  const keys = await source.publicKeys(PURPOSE);
  return keys.map(({ spki }) => PublicKey.parse(spki, SCOPE).fingerprint).sort();
}

const namesOf = (rows: readonly KeyRecord[]): string[] => rows.map(({ fingerprint }) => fingerprint).sort();

describe('an empty key store with a purpose of sealed delivery', () => {
  it('gets key pairs and no data keys, proven before they seal, half under each KEK', async () => {
    const running = await start();
    expect(await census(store)).toEqual(WHOLE_SET);
    expect(callsOf(running, 'GenerateDataKeyPairWithoutPlaintext')).toBe(6);
    expect(callsOf(running, 'Decrypt')).toBe(4);
    const keks = (await pairs()).map(({ wraps }) => wraps[0]!.kek);
    expect(new Set(keks).size).toBe(2);
    for (const kek of new Set(keks)) expect(keks.filter((one) => one === kek)).toHaveLength(3);
    const contexts = emulator
      .audit()
      .filter(({ event }) => event === 'GenerateDataKeyPairWithoutPlaintext')
      .map(({ encryptionContext }) => encryptionContext);
    expect(contexts[0]).toMatchObject({ ...SCOPE, kind: 'pair', delivery: 'sealed' });
  });

  it('has rows that name each pair by what anybody can compute from its public half', async () => {
    await start();
    for (const { fingerprint, commitment, publicKey } of await pairs()) {
      expect(PublicKey.parse(publicKey!, SCOPE).fingerprint).toBe(fingerprint);
      expect(commitment).toEqual(createHash('sha256').update(publicKey!).digest());
    }
  });

  it('takes no pair whose private half is of another one', async () => {
    const kms = kmsOf(emulator);
    const generatePair = kms.generatePair.bind(kms);
    const { publicKey } = generateKeyPairSync('ec', {
      namedCurve: 'prime256v1',
      publicKeyEncoding: { type: 'spki', format: 'der' },
      privateKeyEncoding: { type: 'pkcs8', format: 'der' },
    });
    let made = 0;
    kms.generatePair = async (...asked) => {
      const pair = await generatePair(...asked);
      return ++made === 1 ? { ...pair, publicKey } : pair;
    };
    const { context, clock } = makeSource({ emulator, store, purposes: SEALED });
    const source = keyStoreSource({ store: withClock(keyStore.store(), clock), kms });
    await expect(source.start(context)).rejects.toEqual(hasCode('ERR_KEY_COMMITMENT'));
    await source.close();
    expect(await census(store)).toEqual({});
  });
});

describe('public keys of a key store', () => {
  it('are those that may seal, with the end of a hand-out', async () => {
    const running = await start();
    expect(await listed(running)).toEqual(namesOf(await pairs('ENCRYPT')));
    const [first] = await running.source.publicKeys(PURPOSE);
    expect(first!.sealUntil).toBe(START + 2 * HOUR_MS);
    expect(callsOf(running, 'Decrypt')).toBe(4); // those of the start: nothing is unwrapped for it
  });

  it('are replaced by the clockwork when a pair has sealed for its time', async () => {
    const running = await start();
    const before = await pairs('ENCRYPT');
    running.clock.now += 8 * DAY_MS;
    const after = await listed(running);
    expect(await census(store)).toEqual({ ...WHOLE_SET, 'pair DECRYPT': 1 });
    const [retired] = await pairs('DECRYPT');
    expect(namesOf(before)).toContain(retired!.fingerprint);
    expect(after).not.toContain(retired!.fingerprint);
    expect(after).toHaveLength(4);
    expect(running.events).toContainEqual(
      expect.objectContaining({ type: 'key-moved', fingerprint: retired!.fingerprint, to: 'DECRYPT' }),
    );
  });

  it('are read with manage: false as well, and nothing is written for it', async () => {
    await start();
    const reader = await start({ manage: false });
    expect(await listed(reader)).toEqual(namesOf(await pairs('ENCRYPT')));
    expect((await pairs()).every(({ revision }) => revision <= 2)).toBe(true);
  });

  it('are not there for a purpose of pool delivery', async () => {
    const { source } = await start({ purposes: { [PURPOSE]: {} } });
    await expect(source.publicKeys(PURPOSE)).rejects.toEqual(hasCode('ERR_POOL_EMPTY'));
  });
});

describe('a signed list of a key store', () => {
  const sourceOf = ({ source }: OpenedSource) => source as ReturnType<typeof keyStoreSource>;

  it('is what a writer takes, for as long as a hand-out', async () => {
    const running = await start();
    const lists = new PublicKeyLists(SCOPE, signer.publicKey);
    const text = await sourceOf(running).publicKeyList(PURPOSE, signer.privateKey);
    const list = await lists.take(text, START);
    expect(list.keys.map(({ key }) => key.fingerprint).sort()).toEqual(namesOf(await pairs('ENCRYPT')));
    expect(list).toMatchObject({ notAfter: START + 2 * HOUR_MS, serial: START });
    // A writer whose clock is an hour behind, but no more.
    const late = new PublicKeyLists(SCOPE, signer.publicKey);
    expect((await late.take(text, START - HOUR_MS)).serial).toBe(START);
    running.clock.now += 1;
    const next = await sourceOf(running).publicKeyList(PURPOSE, signer.privateKey);
    expect((await lists.take(next, START + 1)).serial).toBe(START + 1);
  });

  it('is signed with an Ed25519 key, for purposes of sealed delivery', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const sealed = sourceOf(await start());
    await expect(sealed.publicKeyList(PURPOSE, privateKey)).rejects.toEqual(hasCode('ERR_CONFIG_OPTION'));
    await expect(sealed.publicKeyList(PURPOSE, signer.publicKey)).rejects.toEqual(
      hasCode('ERR_CONFIG_OPTION'),
    );
    await expect(sealed.publicKeyList('other', signer.privateKey)).rejects.toEqual(
      hasCode('ERR_CONFIG_PURPOSE_UNKNOWN'),
    );
    const pooled = sourceOf(await start({ purposes: { [PURPOSE]: {} } }));
    await expect(pooled.publicKeyList(PURPOSE, signer.privateKey)).rejects.toEqual(
      hasCode('ERR_CONFIG_OPTION'),
    );
  });
});

describe('private keys of a key store', () => {
  it('are unwrapped on request, by their kind alone', async () => {
    const { source } = await start();
    const [pair] = namesOf(await pairs('ENCRYPT'));
    const before = source.kmsCalls().Decrypt;
    expect(await source.load(PURPOSE, [pair!])).toMatchObject([{ error: { code: 'ERR_KEY_NOT_FOUND' } }]);
    expect(source.kmsCalls().Decrypt).toBe(before);
    const [outcome] = await source.load(PURPOSE, [pair!], 'pair');
    if (outcome === undefined || 'error' in outcome) throw new Error('expected a key');
    expect(PrivateKey.parse(outcome.key.root, SCOPE).fingerprint).toBe(pair);
  });

  it('are not looked for among data keys', async () => {
    const { source } = await start({ purposes: { [PURPOSE]: {} } });
    const [key] = await source.handOut(PURPOSE, []);
    key!.root.fill(0);
    expect(await source.load(PURPOSE, [key!.fingerprint], 'pair')).toMatchObject([
      { error: { code: 'ERR_KEY_NOT_FOUND' } },
    ]);
  });

  it('are refused when the pair is suspended, and its public half is listed no more', async () => {
    const running = await start();
    const [pair] = namesOf(await pairs('ENCRYPT'));
    await moveKey(store, emulator, pair!, 'SUSPENDED');
    expect(await running.source.load(PURPOSE, [pair!], 'pair')).toMatchObject([
      { error: { code: 'ERR_KEY_STATE' } },
    ]);
    expect(await listed(running)).not.toContain(pair);
  });
});

describe('a row of a key pair that was changed by SQL', () => {
  it('with a public key of somebody else is not sealed to, not opened with, and an alarm', async () => {
    await start();
    const running = await start({ manage: false });
    const [pair] = await pairs('ENCRYPT');
    const { publicKey } = generateKeyPairSync('ec', {
      namedCurve: 'prime256v1',
      publicKeyEncoding: { type: 'spki', format: 'der' },
      privateKeyEncoding: { type: 'pkcs8', format: 'der' },
    });
    await keyStore.force(
      `UPDATE data_keys SET public_key = '\\x${publicKey.toString('hex')}' WHERE fingerprint = '${pair!.fingerprint}'`,
    );
    const keys = await running.source.publicKeys(PURPOSE);
    expect(keys).toHaveLength(3);
    expect(keys.some(({ spki }) => spki.equals(publicKey))).toBe(false);
    expect(await running.source.load(PURPOSE, [pair!.fingerprint], 'pair')).toMatchObject([
      { error: { code: 'ERR_STORE_ROW_MAC' } },
    ]);
    expect(new Set(alarmsOfKeys(running))).toEqual(new Set(['ERR_STORE_ROW_MAC']));
  });

  it('in any column neither seals nor opens', async () => {
    await start();
    const running = await start({ manage: false });
    const [pair] = await pairs('ENCRYPT');
    await keyStore.keep();
    const columns = (await keyStore.columns()).filter(({ table }) => table !== 'key_events');
    for (const column of columns) {
      await keyStore.change(column, `fingerprint = '${pair!.fingerprint}'`);
      const [outcome] = await running.source.load(PURPOSE, [pair!.fingerprint], 'pair');
      expect(outcome, column.name).toMatchObject({
        error: { code: expect.stringMatching(/^ERR_STORE_(ROW_MAC|REVISION)$/) as unknown },
      });
      expect(await listed(running), column.name).not.toContain(pair!.fingerprint);
      await keyStore.putBack(['data_keys', 'key_wraps']);
    }
  });
});

describe('a purpose that goes from pool to sealed delivery', () => {
  it('makes pairs, and its data keys open and retire as they would have', async () => {
    const clock = new HandClock();
    const pooled = await start({ clock, purposes: { [PURPOSE]: { pool: POOL } } });
    const [key] = await pooled.source.handOut(PURPOSE, []);
    key!.root.fill(0);
    const sealed = await start({ clock });
    expect(await census(store)).toEqual({ ...WHOLE_SET, 'data ENCRYPT': 4, 'data FUTURE': 2 });
    expect(await sealed.source.load(PURPOSE, [key!.fingerprint])).toMatchObject([{ key: {} }]);
    clock.now += 31 * DAY_MS;
    await sealed.source.publicKeys(PURPOSE);
    expect(await census(store)).toMatchObject({ 'data DECRYPT': 4, 'data FUTURE': 2, 'pair ENCRYPT': 4 });
    expect(alarmsOf(sealed)).toEqual([]);
  });
});

describe('field seals over pairs of a key store', () => {
  const events: FieldSealEvent[] = [];

  async function open(options: Partial<FieldSealOptions> = {}): Promise<FieldSeal> {
    const seal = await createFieldSeal({
      ...{ application, environment, purposes: SEALED },
      keys: keyStoreSource({ store: keyStore.store(), kms: kmsOf(emulator) }),
      onEvent: (event) => events.push(event),
      ...options,
    });
    seals.push(seal);
    return seal;
  }

  const write = (seal: FieldSeal) => seal.sealAsync(PURPOSE, 'cards.pan', PAN);
  const read = (seal: FieldSeal, cell: Buffer) => seal.open(PURPOSE, 'cards.pan', cell);

  it('read what a writer sealed that has a list of public keys and nothing else', async () => {
    const keys = keyStoreSource({ store: keyStore.store(), kms: kmsOf(emulator) });
    const owner = await open({ keys });
    const writer = await open({
      access: 'write-only',
      keys: publicKeySource({
        read: (purpose) => keys.publicKeyList(purpose, signer.privateKey),
        verificationKey: signer.publicKey,
      }),
    });
    const cell = await write(writer);
    expect(await read(owner, cell)).toBe(PAN);
    const reader = await open({
      access: 'read-only',
      keys: keyStoreSource({ store: keyStore.store(), kms: kmsOf(emulator), manage: false }),
    });
    expect(await read(reader, cell)).toBe(PAN);
    expect(writer.stats()).toMatchObject({ kmsCalls: {}, unwraps: 0 });
  });

  it('seal without a call of the KMS, and open with one for each pair', async () => {
    const seal = await open();
    const before = seal.stats().kmsCalls;
    const cells = await Promise.all(Array.from({ length: 20 }, () => write(seal)));
    expect(seal.stats().kmsCalls).toEqual(before);
    for (const cell of cells) expect(await read(seal, cell)).toBe(PAN);
    const used = new Set(cells.map((cell) => cell.subarray(2, 18).toString('hex')));
    expect(seal.stats().kmsCalls.Decrypt! - before.Decrypt!).toBe(used.size);
  });

  it('fail while the KMS is down, for keys that are not here, and go on afterwards', async () => {
    const seal = await open();
    const cell = await write(seal);
    emulator.faults.inject('Decrypt', 'close');
    const error = await rejection(read(seal, cell), 'ERR_KEY_UNAVAILABLE');
    expect(error.retryable).toBe(true);
    await write(seal);
    emulator.faults.clear();
    expect(await read(seal, cell)).toBe(PAN);
  });

  it('drop a pair that is suspended, its sessions and its public half', async () => {
    const seal = await open();
    const cell = await write(seal);
    expect(await read(seal, cell)).toBe(PAN);
    const hex = cell.subarray(2, 18).toString('hex');
    const pair = (await pairs()).find(({ fingerprint }) => fingerprint.replaceAll('-', '') === hex);
    await moveKey(store, emulator, pair!.fingerprint, 'SUSPENDED');
    await vi.waitFor(() => {
      expect(seal.stats()).toMatchObject({ keyringSize: 0, pools: { [PURPOSE]: { keys: 3 } } });
    });
    await rejection(read(seal, cell), 'ERR_KEY_STATE');
  });
});
