/** A case of the behaviour of KEK providers, and what the cases share. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { ErrorCode } from '../errors.js';
import { isFieldSealError } from '../errors.js';
import type { KekProvider, KeyScope, WrapContext } from '../keys/ports.js';

/** What a case needs; made anew for each. */
export interface KekProviderFixture {
  /**
   * Not started. Has at least one KEK for `purpose` and another one for `otherPurpose`; its credentials may do all that
   * a provider does, so Decrypt as well.
   */
  readonly provider: KekProvider;
  readonly purpose: string;
  readonly otherPurpose: string;
  /** Frees what the fixture opened; the case closes the provider. */
  close(): Promise<void>;
}

export interface KekProviderCase {
  /** A sentence of behaviour. */
  readonly name: string;
  /** Rejects when the provider does not behave so. */
  run(make: () => Promise<KekProviderFixture>): Promise<void>;
}

export interface StartedFixture extends KekProviderFixture {
  /** For keys of a key store. */
  readonly context: WrapContext;
  /** For envelopes. */
  readonly scope: KeyScope;
  /** One of `purpose`, and one of `otherPurpose`. */
  readonly kek: string;
  readonly otherKek: string;
}

export type Check = (started: StartedFixture) => Promise<void>;

/** A case for a provider that was started for both purposes. */
export function kekCase(name: string, check: Check): KekProviderCase {
  return startedCase(name, check, ({ provider, purpose, otherPurpose }) =>
    provider.start([purpose, otherPurpose], () => undefined),
  );
}

/** A case for a provider that was started write-only for both purposes. */
export function writeOnlyCase(name: string, check: Check): KekProviderCase {
  return startedCase(name, check, ({ provider, purpose, otherPurpose }) =>
    provider.startWriteOnly([scopeOf(purpose), scopeOf(otherPurpose)], () => undefined),
  );
}

/** A case for a provider that was not started. */
export function unstartedCase(
  name: string,
  check: (fixture: KekProviderFixture) => Promise<void>,
): KekProviderCase {
  return {
    name,
    async run(make) {
      const fixture = await make();
      try {
        await check(fixture);
      } finally {
        await fixture.provider.close();
        await fixture.close();
      }
    },
  };
}

export function scopeOf(purpose: string): KeyScope {
  return { application: 'conformance', environment: 'test', purpose };
}

/** The bytes with one bit flipped, in the first, the middle and the last byte. */
export function changedEach(bytes: Buffer): Buffer[] {
  return [0, bytes.length >> 1, bytes.length - 1].map((at) => {
    const changed = Buffer.from(bytes);
    changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
    return changed;
  });
}

/** Fails when the check makes a call to the KMS. */
export async function withoutCalls(provider: KekProvider, check: () => Promise<void>): Promise<void> {
  const before = totalOf(provider.calls());
  await check();
  assert.equal(totalOf(provider.calls()), before);
}

export function totalOf(calls: Readonly<Record<string, number>>): number {
  return Object.values(calls).reduce((sum, count) => sum + count, 0);
}

export async function rejectsWith(code: ErrorCode, promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, hasCode(code));
}

export function hasCode(code: ErrorCode): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isFieldSealError(error), 'expected a FieldSealError');
    assert.equal(error.code, code);
    return true;
  };
}

function startedCase(
  name: string,
  check: Check,
  start: (fixture: KekProviderFixture) => Promise<void>,
): KekProviderCase {
  return unstartedCase(name, async (fixture) => {
    const { provider, purpose, otherPurpose } = fixture;
    await start(fixture);
    const [kek] = provider.keks(purpose);
    const [otherKek] = provider.keks(otherPurpose);
    assert.ok(kek !== undefined && otherKek !== undefined, 'expected at least one KEK for each purpose');
    const scope = scopeOf(purpose);
    const context: WrapContext = { ...scope, kind: 'data', delivery: 'pool', wrapId: randomUUID() };
    await check({ ...fixture, kek, otherKek, scope, context });
  });
}
