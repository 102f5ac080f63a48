/**
 * A field seal that has public keys and nothing else: what a forger or replayer may give it in the place of a list. Then
 * one that has a KMS besides, for purposes of envelope delivery.
 */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PublicKey } from '../../src/cell/key-pair.js';
import { createFieldSeal, publicKeySource, type FieldSeal, type FieldSealEvent } from '../../src/index.js';
import type { FieldSealOptions } from '../../src/keys/create-field-seal.js';
import { awsKms } from '../../src/kms/aws.js';
import { startKmsEmulator, type KmsEmulator } from '../../src/kms/emulator/emulator.js';
import { signPublicKeys, type PublicKeyList } from '../../src/keys/public-key-list.js';
import { FakeClock, settle } from '../keys/fake-clock.js';
import { HOUR, MINUTE, rejection, thrown } from '../keys/seal-fixture.js';

const PURPOSE = 'card-number';
const SCOPE = { application: 'shop', environment: 'test', purpose: PURPOSE };
const PAN = '4111111111111111';
const START = Date.UTC(2026, 0, 1);

const owner = generateKeyPairSync('ed25519');
const forger = generateKeyPairSync('ed25519');
const pem = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }).toString();

function publicKey(): PublicKey {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  return PublicKey.parse(publicKey.export({ type: 'spki', format: 'der' }), SCOPE);
}

function listOf(more: Partial<PublicKeyList> = {}, by = owner.privateKey): string {
  const keys = [{ key: publicKey(), sealUntil: START + 2 * HOUR }];
  const times = { serial: START, notBefore: START - HOUR, notAfter: START + 2 * HOUR };
  return signPublicKeys({ ...SCOPE, ...times, keys, ...more }, by);
}

interface Writer {
  readonly seal: FieldSeal;
  readonly clock: FakeClock;
  readonly events: FieldSealEvent[];
  /** What is read from now on. */
  list: unknown;
  reads: number;
}

async function openWriter(list: unknown, options: Partial<FieldSealOptions> = {}): Promise<Writer> {
  const clock = new FakeClock(START);
  const events: FieldSealEvent[] = [];
  const writer = { clock, events, list, reads: 0 };
  const seal = await createFieldSeal({
    ...{ application: 'shop', environment: 'test', access: 'write-only', clock },
    purposes: { [PURPOSE]: { delivery: 'sealed' } },
    keys: publicKeySource({
      read: () => {
        writer.reads += 1;
        if (writer.list instanceof Error) throw writer.list;
        return Promise.resolve(writer.list as string);
      },
      verificationKey: owner.publicKey,
    }),
    onEvent: (event) => events.push(event),
    ...options,
  });
  return Object.assign(writer, { seal });
}

const write = ({ seal }: Writer) => seal.sealAsync(PURPOSE, 'cards.pan', PAN);
const failuresOf = ({ events }: Writer) =>
  events.flatMap((event) => (event.type === 'refresh-failed' ? [event.error.code] : []));

const BAD_LISTS: readonly (readonly [string, () => unknown])[] = [
  ['was signed by another key', () => listOf({}, forger.privateKey)],
  ['has expired', () => listOf({ notAfter: START })],
  ['is not valid yet', () => listOf({ notBefore: START + MINUTE })],
  ['is of another purpose', () => listOf({ purpose: 'personal-data' })],
  ['is of another environment', () => listOf({ environment: 'production' })],
  ['is of another application', () => listOf({ application: 'hub' })],
  ['is no text', () => undefined],
  ['is empty', () => ''],
];

describe('a list of public keys that', () => {
  it.each(BAD_LISTS)('%s lets no process start', async (_, list) => {
    await rejection(openWriter(list()), 'ERR_KEY_LIST_REFUSED');
  });

  it.each([...BAD_LISTS, ['is older than the one before', () => listOf({ serial: START - 1 })] as const])(
    '%s is refused by a running process, which seals under what it has until that ends',
    async (_, list) => {
      const pair = publicKey();
      const writer = await openWriter(listOf({ keys: [{ key: pair, sealUntil: START + 2 * HOUR }] }));
      writer.list = list();
      await writer.clock.advance(HOUR + 59 * MINUTE);
      expect(new Set(failuresOf(writer))).toEqual(new Set(['ERR_KEY_LIST_REFUSED']));
      const fingerprint = (await write(writer)).subarray(2, 18).toString('hex');
      expect(fingerprint).toBe(pair.fingerprint.replaceAll('-', ''));
      await writer.clock.advance(MINUTE);
      await rejection(write(writer), 'ERR_POOL_STALE');
    },
  );
});

describe('a writer with public keys', () => {
  it('needs no secret, asks no KMS, and opens nothing', async () => {
    const writer = await openWriter(listOf());
    const cell = await write(writer);
    expect(writer.seal.stats()).toMatchObject({ kmsCalls: {}, unwraps: 0, keyringSize: 0 });
    await rejection(writer.seal.open(PURPOSE, 'cards.pan', cell), 'ERR_OPEN_WRITE_ONLY');
    thrown(() => writer.seal.readOnly(), 'ERR_OPEN_WRITE_ONLY');
  });

  it('takes a newer list, and seals under its keys alone', async () => {
    const writer = await openWriter(listOf());
    const pair = publicKey();
    const until = START + 4 * HOUR;
    writer.list = listOf({ serial: START + 1, notAfter: until, keys: [{ key: pair, sealUntil: until }] });
    await writer.clock.advance(HOUR);
    const fingerprint = (await write(writer)).subarray(2, 18).toString('hex');
    expect(fingerprint).toBe(pair.fingerprint.replaceAll('-', ''));
  });

  it('goes by the end of each key, and of the list, whichever is first', async () => {
    const [soon, late] = [publicKey(), publicKey()];
    const keys = [
      { key: soon, sealUntil: START + 10 * MINUTE },
      { key: late, sealUntil: START + 3 * HOUR },
    ];
    const writer = await openWriter(listOf({ keys, notAfter: START + 30 * MINUTE }));
    await writer.clock.advance(10 * MINUTE);
    for (let i = 0; i < 20; i++)
      expect((await write(writer)).subarray(2, 18).toString('hex')).toBe(
        late.fingerprint.replaceAll('-', ''),
      );
    await writer.clock.advance(20 * MINUTE);
    await rejection(write(writer), 'ERR_POOL_STALE');
  });

  it.each(['wall', 'monotonic'] as const)('stops at the end of its list by the %s clock', async (which) => {
    const writer = await openWriter(listOf({ notAfter: START + 30 * MINUTE }));
    if (which === 'wall') writer.clock.setWallBy(30 * MINUTE);
    else {
      await writer.clock.advance(29 * MINUTE);
      writer.clock.setWallBy(-20 * MINUTE);
      await writer.clock.advance(MINUTE);
    }
    await rejection(write(writer), 'ERR_POOL_STALE');
  });

  it('never seals longer than its own policy says, however long the list is valid', async () => {
    const until = START + 1_000 * HOUR;
    const writer = await openWriter(
      listOf({ notAfter: until, keys: [{ key: publicKey(), sealUntil: until }] }),
    );
    writer.list = new Error('no such file');
    await writer.clock.advance(2 * HOUR);
    await rejection(write(writer), 'ERR_POOL_STALE');
    expect(new Set(failuresOf(writer))).toEqual(new Set(['ERR_KEY_UNAVAILABLE']));
  });

  it('looks for a new list before the old one runs out', async () => {
    const writer = await openWriter(listOf({ notAfter: START + 10 * MINUTE }));
    await writer.clock.advance(9 * MINUTE);
    expect(writer.reads).toBeGreaterThan(2);
    writer.list = listOf({ serial: START + 1 });
    await writer.clock.advance(MINUTE - 1);
    await write(writer);
    await settle();
    await writer.clock.advance(2 * MINUTE);
    await write(writer);
  });

  it('is told of no error in the words of its reader', async () => {
    const error = await rejection(openWriter(new Error('secret of the reader')), 'ERR_KEY_UNAVAILABLE');
    expect(error.message).not.toContain('secret');
  });
});

describe('publicKeySource', () => {
  it.each(['read-write', 'read-only'] as const)('refuses access %s', async (access) => {
    const error = await rejection(openWriter(listOf(), { access }), 'ERR_CONFIG_OPTION');
    expect(error.message).toContain('write-only');
  });

  it('refuses purposes of another delivery', async () => {
    const error = await rejection(
      openWriter(listOf(), { purposes: { [PURPOSE]: { delivery: 'envelope' } } }),
      'ERR_CONFIG_OPTION',
    );
    expect(error.message).toContain(`purposes.${PURPOSE}.delivery`);
    expect(error.message).toContain('add kms');
  });

  it('serves one field seal', async () => {
    const keys = publicKeySource({
      read: () => Promise.resolve(listOf()),
      verificationKey: owner.publicKey,
    });
    const writer = await openWriter('', { keys });
    await rejection(openWriter('', { keys }), 'ERR_CONFIG_OPTION');
    await writer.seal.close();
  });

  it('takes the verification key as a KeyObject or as PEM, and no other key', () => {
    const read = () => Promise.resolve('');
    publicKeySource({ read, verificationKey: owner.publicKey });
    publicKeySource({ read, verificationKey: pem(owner.publicKey) });
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const privatePem = owner.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const broken = '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----';
    for (const verificationKey of [
      owner.privateKey,
      rsa.publicKey,
      pem(rsa.publicKey),
      privatePem,
      broken,
      '',
    ])
      expect(thrown(() => publicKeySource({ read, verificationKey }), 'ERR_CONFIG_OPTION').message).toContain(
        'Ed25519',
      );
  });

  it('tells of a place that cannot be read by class and code of the error, and says nothing else of it', async () => {
    const read = () => Promise.reject(Object.assign(new TypeError('secret'), { code: 'ENOENT' }));
    const keys = publicKeySource({ read, verificationKey: owner.publicKey });
    const error = await rejection(openWriter('', { keys }), 'ERR_KEY_UNAVAILABLE');
    expect(error.message).toMatch(/^publicKeySource\.read of purpose card-number: .*\(TypeError, ENOENT\)/u);
    expect(inspect(error, { depth: 9 })).not.toContain('secret');
  });

  it('says where a private key belongs that is given in the place of the public one', () => {
    const verificationKey = owner.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const make = () => publicKeySource({ read: () => Promise.resolve(''), verificationKey });
    expect(thrown(make, 'ERR_CONFIG_OPTION').message).toContain(
      'got a private key, which belongs where lists are signed',
    );
  });

  it('has no key of any other kind', async () => {
    const source = publicKeySource({
      read: () => Promise.resolve(listOf()),
      verificationKey: owner.publicKey,
    });
    const writer = await openWriter('', { keys: source });
    for (const work of [
      source.handOut(PURPOSE, []),
      source.makeEnvelopeKey(PURPOSE),
      source.openEnvelopeKey(PURPOSE, Buffer.alloc(8), Buffer.alloc(1)),
      source.publicKeys('personal-data'),
    ])
      await rejection(work, 'ERR_CONFIG_OPTION');
    expect(await source.indexKeys(PURPOSE)).toBeUndefined();
    expect(await source.notDenied(PURPOSE)).toEqual([]);
    expect(await source.load(PURPOSE, ['x'])).toMatchObject([{ error: { code: 'ERR_KEY_NOT_FOUND' } }]);
    await writer.seal.close();
  });
});

describe('publicKeySource with kms', () => {
  const PEOPLE = 'personal-data';
  const BOTH = { [PURPOSE]: { delivery: 'sealed' }, [PEOPLE]: { delivery: 'envelope' } } as const;
  let emulator: KmsEmulator;

  beforeAll(async () => {
    const allow = (Action: string) => ({ Statement: [{ Effect: 'Allow' as const, Action, Resource: '*' }] });
    const principal = (name: string, Action: string) => ({
      ...{ name, accessKeyId: `PRINCIPALWITH${name}`, secretAccessKey: 'a-secret-of-the-tests-only' },
      policy: allow(Action),
    });
    emulator = await startKmsEmulator({
      createKeys: ['alias/pii'],
      policy: { principals: [principal('web', 'kms:GenerateDataKey'), principal('greedy', 'kms:*')] },
    });
  });
  afterAll(() => emulator.close());

  function sourceOf(
    principal = 'web',
    keks: Record<string, readonly string[]> = { [PEOPLE]: ['alias/pii'] },
  ) {
    const { region, endpoint } = emulator;
    return publicKeySource({
      read: () => Promise.resolve(listOf()),
      verificationKey: owner.publicKey,
      kms: awsKms({ region, endpoint, credentials: emulator.credentials(principal), keks }),
    });
  }

  it('seals envelopes with a call for each, and asks the KMS for nothing else', async () => {
    const { seal } = await openWriter(undefined, { purposes: BOTH, keys: sourceOf() });
    const before = seal.stats().kmsCalls.GenerateDataKey!;
    await seal.sealAsync(PURPOSE, 'cards.pan', PAN);
    expect(seal.stats().kmsCalls.GenerateDataKey).toBe(before);
    await seal.sealAsync(PEOPLE, 'customers.name', 'Wanda');
    expect(seal.stats().kmsCalls.GenerateDataKey).toBe(before + 1);
    const worked = emulator.audit().filter(({ error }) => error === null);
    for (const { event, encryptionContext } of worked)
      expect([event, encryptionContext?.purpose]).toEqual(['GenerateDataKey', PEOPLE]);
    await seal.close();
  });

  it('warns of one KEK alone, and refuses it where the policy asks for a spread', async () => {
    const events: FieldSealEvent[] = [];
    const { seal } = await openWriter(undefined, {
      purposes: BOTH,
      keys: sourceOf(),
      onEvent: (event) => events.push(event),
    });
    await seal.close();
    expect(events.filter(({ type }) => type === 'warning')).toMatchObject([
      { code: 'ERR_CONFIG_KEK_SPREAD' },
    ]);
    const strict = { ...BOTH, [PEOPLE]: { delivery: 'envelope', requireKekSpread: true } } as const;
    await rejection(openWriter(undefined, { purposes: strict, keys: sourceOf() }), 'ERR_CONFIG_KEK_SPREAD');
  });

  it('asks the KMS for nothing where no purpose is of envelope delivery', async () => {
    const { seal } = await openWriter(undefined, { keys: sourceOf() });
    expect(seal.stats().kmsCalls).toEqual({});
    await seal.close();
  });

  it('refuses to start where the KMS would open what is written', async () => {
    const keys = sourceOf('greedy');
    await rejection(openWriter(undefined, { purposes: BOTH, keys }), 'ERR_KMS_TOO_MUCH_PRIVILEGE');
  });

  it('refuses a purpose without a KEK, and what is no KEK provider', async () => {
    const keys = sourceOf('web', { other: ['alias/pii'] });
    const error = await rejection(openWriter(undefined, { purposes: BOTH, keys }), 'ERR_CONFIG_OPTION');
    expect(error.message).toContain(`awsKms.keks.${PEOPLE}`);
    const options = { read: () => Promise.resolve(''), verificationKey: owner.publicKey, kms: {} };
    expect(thrown(() => publicKeySource(options as never), 'ERR_CONFIG_OPTION').message).toContain(
      'publicKeySource.kms',
    );
  });

  it('opens nothing, and makes nothing once it is closed', async () => {
    const source = sourceOf();
    const { seal } = await openWriter(undefined, { purposes: BOTH, keys: source });
    const { root, kekRef, wrapped } = await source.makeEnvelopeKey(PEOPLE);
    root.fill(0);
    const asked = emulator.audit().length;
    await expect(source.openEnvelopeKey(PEOPLE, kekRef, wrapped)).rejects.toMatchObject({
      code: 'ERR_CONFIG_OPTION',
    });
    expect(emulator.audit()).toHaveLength(asked);
    expect(await source.load(PEOPLE, ['x'])).toMatchObject([{ error: { code: 'ERR_KEY_NOT_FOUND' } }]);
    await rejection(source.publicKeys(PEOPLE), 'ERR_CONFIG_OPTION');
    await seal.close();
    await rejection(source.makeEnvelopeKey(PEOPLE), 'ERR_KMS_UNAVAILABLE');
  });
});
