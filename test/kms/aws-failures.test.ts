import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../src/errors.js';
import type { Fault } from '../../src/kms/emulator/faults.js';
import { CARD, CARD_KEKS, emulator, failure, provider } from './kms.js';

interface Expected {
  readonly fault: Fault;
  readonly code: ErrorCode;
  /** GenerateDataKey calls with `attempts: 3`. */
  readonly calls: number;
  readonly alarm: boolean;
}

const EXPECTED: readonly Expected[] = [
  { fault: 'throttle', code: 'ERR_KMS_THROTTLED', calls: 3, alarm: false },
  { fault: 'internal', code: 'ERR_KMS_UNAVAILABLE', calls: 3, alarm: false },
  { fault: 'dependency-timeout', code: 'ERR_KMS_UNAVAILABLE', calls: 3, alarm: false },
  { fault: 'key-unavailable', code: 'ERR_KMS_UNAVAILABLE', calls: 3, alarm: false },
  { fault: 'proxy-error', code: 'ERR_KMS_UNAVAILABLE', calls: 3, alarm: false },
  { fault: 'close', code: 'ERR_KMS_UNAVAILABLE', calls: 3, alarm: false },
  { fault: 'hang', code: 'ERR_KMS_TIMEOUT', calls: 3, alarm: false },
  { fault: 'stall', code: 'ERR_KMS_TIMEOUT', calls: 3, alarm: false },
  { fault: 'drip', code: 'ERR_KMS_TIMEOUT', calls: 3, alarm: false },
  { fault: 'slow', code: 'ERR_KMS_TIMEOUT', calls: 3, alarm: false },
  { fault: 'invalid-state', code: 'ERR_KMS_KEK_UNUSABLE', calls: 1, alarm: false },
  { fault: 'denied', code: 'ERR_KMS_DENIED', calls: 1, alarm: true },
  { fault: 'incorrect-key', code: 'ERR_KMS_WRAP_REFUSED', calls: 1, alarm: true },
  { fault: 'invalid-ciphertext', code: 'ERR_KMS_WRAP_REFUSED', calls: 1, alarm: true },
  { fault: 'garbage', code: 'ERR_KMS_RESPONSE', calls: 1, alarm: true },
  { fault: 'html', code: 'ERR_KMS_RESPONSE', calls: 1, alarm: true },
  { fault: 'empty', code: 'ERR_KMS_RESPONSE', calls: 1, alarm: true },
  { fault: 'short-plaintext', code: 'ERR_KMS_RESPONSE', calls: 1, alarm: true },
  { fault: 'no-ciphertext', code: 'ERR_KMS_RESPONSE', calls: 1, alarm: true },
  { fault: 'wrong-key', code: 'ERR_KMS_RESPONSE', calls: 1, alarm: true },
];

/** Short where the fault is silence; elsewhere long enough that a busy machine adds no time-out of its own. */
const QUICK = { requestMs: 400, totalMs: 2_000 };
const PATIENT = { requestMs: 5_000, totalMs: 15_000 };

/** Three times the quick request timeout, pauses, and room for a busy machine. */
const BOUND_MS = 3_500;

describe('GenerateDataKey', () => {
  it.each(EXPECTED)('$fault ends in $code after $calls calls, in bounded time', async (expected) => {
    const seen: Buffer[] = [];
    const kms = await emulator({ createKeys: CARD_KEKS, unsafeOnPlaintext: (bytes) => seen.push(bytes) });
    const { provider: kek, events } = await provider(kms, {
      attempts: 3,
      timeouts: expected.code === 'ERR_KMS_TIMEOUT' ? QUICK : PATIENT,
    });
    kms.faults.inject('GenerateDataKey', expected.fault, { delayMs: 10_000 });
    const started = performance.now();
    const error = await failure(expected.code, kek.generate(kek.keks(CARD.purpose)[0] ?? '', CARD));
    expect(performance.now() - started).toBeLessThan(BOUND_MS);
    expect(kek.calls().GenerateDataKey).toBe(expected.calls);
    expect(events.filter((event) => event.type === 'alarm')).toHaveLength(expected.alarm ? 1 : 0);
    expect(error.message).toContain('purpose "card-number"');
    expectNoKey([error, events], seen);
  });
});

describe('Decrypt', () => {
  it.each(['garbage', 'html', 'empty', 'short-plaintext', 'wrong-key'] as const)(
    '%s in an answer is refused and no key gets out',
    async (fault) => {
      const seen: Buffer[] = [];
      const kms = await emulator({ createKeys: CARD_KEKS, unsafeOnPlaintext: (bytes) => seen.push(bytes) });
      const { provider: kek } = await provider(kms);
      const { wrap } = await kek.generate(kek.keks(CARD.purpose)[0] ?? '', CARD);
      kms.faults.inject('Decrypt', fault);
      const error = await failure('ERR_KMS_RESPONSE', kek.unwrap([wrap, wrap], CARD));
      expect(kek.calls().Decrypt).toBe(1);
      expect(seen).toHaveLength(2);
      expectNoKey([error], seen);
    },
  );

  it('opens by the next wrap when one KEK is out of reach, after its retries', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    const { provider: kek } = await provider(kms, { attempts: 2 });
    const [first = '', second = ''] = kek.keks(CARD.purpose);
    const a = await kek.generate(first, CARD);
    const b = await kek.generate(second, CARD);
    kms.faults.inject('Decrypt', 'key-unavailable', { keyArn: first });
    expect(await kek.unwrap([a.wrap, b.wrap], CARD)).toEqual(b.root);
    expect(kek.calls().Decrypt).toBe(3);
  });

  it('alarms at a changed wrap and opens by the next one', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    const { provider: kek, events } = await provider(kms);
    const [first = ''] = kek.keks(CARD.purpose);
    const { wrap, root } = await kek.generate(first, CARD);
    const wrapped = Buffer.from(wrap.wrapped).fill(0, wrap.wrapped.length - 4);
    expect(await kek.unwrap([{ ...wrap, wrapped }, wrap], CARD)).toEqual(root);
    expect(events).toMatchObject([{ type: 'alarm', code: 'ERR_KMS_WRAP_REFUSED' }]);
  });

  it('refuses a wrap of no bytes, or too many, without a call', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    const { provider: kek } = await provider(kms);
    const { wrap } = await kek.generate(kek.keks(CARD.purpose)[0] ?? '', CARD);
    for (const length of [0, 6_145]) {
      const other = { ...wrap, wrapped: Buffer.alloc(length) };
      const error = await failure('ERR_KMS_WRAP_REFUSED', kek.unwrap([other], CARD));
      expect(error.message).toContain(`got ${length}`);
    }
    expect(kek.calls()).not.toHaveProperty('Decrypt');
  });

  it('a hundred at a time leave no warning of a leak', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    const { provider: kek } = await provider(kms, { parallelUnwraps: 50 });
    const { wrap } = await kek.generate(kek.keks(CARD.purpose)[0] ?? '', CARD);
    const warnings: Error[] = [];
    const note = (warning: Error) => warnings.push(warning);
    process.on('warning', note);
    await Promise.all(Array.from({ length: 100 }, () => kek.unwrap([wrap], CARD)));
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', note);
    expect(warnings).toEqual([]);
  });

  it('does not go on to the next wrap after IncorrectKey', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    const { provider: kek } = await provider(kms);
    const [first = '', second = ''] = kek.keks(CARD.purpose);
    const { wrap } = await kek.generate(first, CARD);
    await failure('ERR_KMS_WRAP_REFUSED', kek.unwrap([{ ...wrap, kek: second }, wrap], CARD));
    expect(kek.calls().Decrypt).toBe(1);
  });
});

describe('retries', () => {
  it('a fault that passes is not seen by the caller, and each attempt is counted', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    const { provider: kek } = await provider(kms, { timeouts: { requestMs: 1_000 } });
    kms.faults.inject('GenerateDataKey', 'throttle', { times: 1 });
    kms.faults.inject('GenerateDataKey', 'close', { times: 1 });
    kms.faults.inject('GenerateDataKey', 'hang', { times: 1 });
    const { root } = await kek.generate(kek.keks(CARD.purpose)[0] ?? '', CARD);
    expect(root).toHaveLength(32);
    expect(kek.calls().GenerateDataKey).toBe(4);
  });

  it('total time bounds them before the number of attempts does', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    const { provider: kek } = await provider(kms, {
      attempts: 10,
      timeouts: { requestMs: 400, totalMs: 1_000 },
    });
    kms.faults.inject('GenerateDataKey', 'hang');
    const started = performance.now();
    await failure('ERR_KMS_TIMEOUT', kek.generate(kek.keks(CARD.purpose)[0] ?? '', CARD));
    expect(performance.now() - started).toBeLessThan(2_500);
    expect(kek.calls().GenerateDataKey).toBeLessThan(5);
  });

  it('credentials that never come are ERR_KMS_TIMEOUT', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    const never = () => new Promise<never>(() => undefined);
    await failure('ERR_KMS_TIMEOUT', provider(kms, { credentials: never, timeouts: QUICK, attempts: 2 }));
    expect(kms.audit()).toEqual([]);
  });

  it('nobody listening at the endpoint is ERR_KMS_UNAVAILABLE', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    const { provider: kek } = await provider(kms, { attempts: 2 });
    await kms.close();
    const error = await failure('ERR_KMS_UNAVAILABLE', kek.generate(kek.keks(CARD.purpose)[0] ?? '', CARD));
    expect(error.message).toContain('ECONNREFUSED');
  });

  it('a clock that is 10 minutes off is corrected by the SDK and tried again', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS, now: () => Date.now() + 600_000 });
    const { provider: kek } = await provider(kms);
    expect(kek.keks(CARD.purpose)).toHaveLength(2);
  });
});

/** No piece of a key, and none of the SDK's own errors, whose `$response` leads to the answer. */
function expectNoKey(told: readonly unknown[], keys: readonly Buffer[]): void {
  const shown = inspect(told, { depth: 20, showHidden: true, maxStringLength: null });
  expect(shown).not.toContain('$response');
  for (const key of keys) {
    const text = key.toString('base64');
    for (let at = 0; at + 6 <= text.length; at++) expect(shown).not.toContain(text.slice(at, at + 6));
  }
}
