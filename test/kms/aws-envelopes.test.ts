import { DisableKeyCommand } from '@aws-sdk/client-kms';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../src/errors.js';
import type { Fault } from '../../src/kms/emulator/faults.js';
import { CARD, CARD_KEKS, client, emulator, failure, provider, SCOPE, MATERIAL_ID } from './kms.js';

const PAIR = { ...CARD, kind: 'pair', delivery: 'sealed' } as const;
const SPOILT: readonly Fault[] = ['garbage', 'empty', 'short-plaintext', 'wrong-key'];

async function setUp(options = {}) {
  const kms = await emulator({ createKeys: CARD_KEKS });
  const made = await provider(kms, options);
  return { kms, ...made, kek: made.provider.keks(CARD.purpose)[0] ?? '' };
}

describe('an envelope key', () => {
  it('is bound to exactly application, environment, purpose, kind and delivery', async () => {
    const { kms, provider: aws, kek } = await setUp();
    const { wrapped } = await aws.generateEnvelope(kek, SCOPE);
    await aws.unwrapEnvelope(kek, wrapped, SCOPE);
    const uses = kms.audit().filter((entry) => entry.event !== 'DescribeKey');
    expect(uses.map((entry) => entry.event)).toEqual(['GenerateDataKey', 'Decrypt']);
    for (const use of uses) {
      expect(use.keyArn).toBe(kek);
      expect(use.encryptionContext).toEqual({ ...SCOPE, kind: 'data', delivery: 'envelope' });
    }
  });

  it('takes nothing but the three names from what it is given as its scope', async () => {
    const { kms, provider: aws, kek } = await setUp();
    await aws.generateEnvelope(kek, CARD);
    expect(kms.audit().at(-1)?.encryptionContext).toEqual({ ...SCOPE, kind: 'data', delivery: 'envelope' });
  });

  it('opens under a retired KEK, which makes none', async () => {
    const { kms, provider: before } = await setUp({ keks: { [CARD.purpose]: ['alias/card-b'] } });
    const [retired = ''] = before.keks(CARD.purpose);
    const { root, wrapped } = await before.generateEnvelope(retired, SCOPE);
    const { provider: aws } = await provider(kms, {
      keks: { [CARD.purpose]: ['alias/card-a'] },
      openKeks: { [CARD.purpose]: ['alias/card-b'] },
    });
    expect(aws.openKeks(CARD.purpose)).toEqual([...aws.keks(CARD.purpose), retired]);
    expect(await aws.unwrapEnvelope(retired, wrapped, SCOPE)).toEqual(root);
    await failure('ERR_KMS_KEK_NOT_CONFIGURED', aws.generateEnvelope(retired, SCOPE));
  });

  it('is lost to a disabled KEK, as the error says', async () => {
    const { kms, provider: aws, kek } = await setUp();
    const { wrapped } = await aws.generateEnvelope(kek, SCOPE);
    await client(kms).send(new DisableKeyCommand({ KeyId: kek }));
    await failure('ERR_KMS_KEK_UNUSABLE', aws.unwrapEnvelope(kek, wrapped, SCOPE));
    await failure('ERR_KMS_KEK_UNUSABLE', aws.generateEnvelope(kek, SCOPE));
  });

  it('shares the bound of parallelUnwraps with the keys of key stores', async () => {
    const { kms, provider: aws, kek } = await setUp({ parallelUnwraps: 2 });
    const { wrapped } = await aws.generateEnvelope(kek, SCOPE);
    const { wrap } = await aws.generate(kek, CARD);
    const pair = await aws.generatePair(kek, PAIR);
    kms.faults.inject('Decrypt', 'slow', { delayMs: 60 });
    const started = performance.now();
    await Promise.all(
      [1, 2].flatMap(() => [
        aws.unwrapEnvelope(kek, wrapped, SCOPE),
        aws.unwrap([wrap], CARD),
        aws.unwrapPair([pair.wrap], PAIR),
      ]),
    );
    // Three rounds of two; all six at once would take one round.
    expect(performance.now() - started).toBeGreaterThan(170);
  });

  it.each(SPOILT)('is refused when its answer is spoilt (%s), and no key gets out', async (fault) => {
    const seen: Buffer[] = [];
    const kms = await emulator({ createKeys: CARD_KEKS, unsafeOnPlaintext: (bytes) => seen.push(bytes) });
    const { provider: aws } = await provider(kms);
    const [kek = ''] = aws.keks(CARD.purpose);
    const { wrapped } = await aws.generateEnvelope(kek, SCOPE);
    kms.faults.inject('*', fault, { times: 2 });
    const errors = [
      await failure('ERR_KMS_RESPONSE', aws.generateEnvelope(kek, SCOPE)),
      await failure('ERR_KMS_RESPONSE', aws.unwrapEnvelope(kek, wrapped, SCOPE)),
    ];
    expect(seen).toHaveLength(3);
    const shown = inspect(errors, { depth: 20, showHidden: true, maxStringLength: null });
    for (const key of seen) expect(shown).not.toContain(key.toString('base64').slice(0, 8));
    expect(shown).toContain('delivery envelope');
  });

  it.each([
    ['throttle', 'ERR_KMS_THROTTLED'],
    ['close', 'ERR_KMS_UNAVAILABLE'],
    ['hang', 'ERR_KMS_TIMEOUT'],
  ] as const)('fails in time under %s', async (fault: Fault, code: ErrorCode) => {
    const timeouts = { requestMs: 300, totalMs: 1_500 };
    const { kms, provider: aws, kek } = await setUp({ attempts: 2, timeouts });
    const { wrapped } = await aws.generateEnvelope(kek, SCOPE);
    kms.faults.inject('*', fault);
    const started = performance.now();
    await failure(code, aws.generateEnvelope(kek, SCOPE));
    await failure(code, aws.unwrapEnvelope(kek, wrapped, SCOPE));
    expect(performance.now() - started).toBeLessThan(3_500);
    expect(aws.calls()).toMatchObject({ GenerateDataKey: 3, Decrypt: 2 });
  });
});

describe('a key pair', () => {
  it('is made without plaintext, and bound to the same six names as a root', async () => {
    const seen: Buffer[] = [];
    const kms = await emulator({ createKeys: CARD_KEKS, unsafeOnPlaintext: (bytes) => seen.push(bytes) });
    const { provider: aws } = await provider(kms);
    const [kek = ''] = aws.keks(CARD.purpose);
    const { wrap, publicKey } = await aws.generatePair(kek, PAIR);
    expect(seen).toEqual([]);
    expect(wrap.keyMaterialId).toEqual(MATERIAL_ID);
    const pkcs8 = await aws.unwrapPair([wrap], PAIR);
    const uses = kms.audit().filter((entry) => entry.event !== 'DescribeKey');
    expect(uses.map((entry) => entry.event)).toEqual(['GenerateDataKeyPairWithoutPlaintext', 'Decrypt']);
    for (const use of uses) expect(use.encryptionContext).toEqual({ ...PAIR });
    const key = createPublicKey(createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }));
    expect(key.export({ format: 'der', type: 'spki' })).toEqual(publicKey);
  });

  it.each(['garbage', 'html', 'empty', 'no-ciphertext', 'wrong-key'] as const)(
    'is refused when the answer is spoilt (%s)',
    async (fault) => {
      const { kms, provider: aws, kek, events } = await setUp();
      kms.faults.inject('GenerateDataKeyPairWithoutPlaintext', fault);
      const error = await failure('ERR_KMS_RESPONSE', aws.generatePair(kek, PAIR));
      expect(error.message).toContain('kind pair');
      expect(events).toMatchObject([{ type: 'alarm', code: 'ERR_KMS_RESPONSE' }]);
    },
  );

  it('opens by the next wrap when the KEK of the first is disabled', async () => {
    const { kms, provider: aws, kek } = await setUp();
    const [, other = ''] = aws.keks(CARD.purpose);
    const lost = await aws.generatePair(kek, PAIR);
    const { wrap } = await aws.generatePair(other, PAIR);
    await client(kms).send(new DisableKeyCommand({ KeyId: kek }));
    expect(await aws.unwrapPair([lost.wrap, wrap], PAIR)).toEqual(await aws.unwrapPair([wrap], PAIR));
    await failure('ERR_KMS_KEK_UNUSABLE', aws.unwrapPair([lost.wrap], PAIR));
  });

  it('is no root: 32 bytes in place of a private key are refused', async () => {
    const { provider: aws, kek } = await setUp();
    const { wrap } = await aws.generate(kek, PAIR);
    const error = await failure('ERR_KMS_RESPONSE', aws.unwrapPair([wrap], PAIR));
    expect(error.message).toContain('expected 33 to 256 bytes of plaintext');
  });
});
