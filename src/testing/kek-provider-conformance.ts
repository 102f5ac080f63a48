/** Behaviour that every KekProvider must show, as cases that need no test framework. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { ErrorCode } from '../errors.js';
import { isFieldSealError } from '../errors.js';
import type { KekProvider, Wrap, WrapContext } from '../keys/ports.js';

/** What a case needs; made anew for each. */
export interface KekProviderFixture {
  /** Not started. Has at least one KEK for `purpose` and another one for `otherPurpose`. */
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

interface Started extends KekProviderFixture {
  readonly context: WrapContext;
  readonly kek: string;
}

type Check = (started: Started) => Promise<void>;

export const kekProviderConformance: readonly KekProviderCase[] = [
  kekCase(
    'opens what it wrapped and gives 32 bytes of its own each time',
    async ({ provider, kek, context }) => {
      const { root, wrap } = await provider.generate(kek, context);
      const first = await provider.unwrap([wrap], context);
      const second = await provider.unwrap([wrap], context);
      assert.equal(root.length, 32);
      assert.deepEqual(first, root);
      first.fill(0);
      assert.deepEqual(second, root);
    },
  ),
  kekCase('never gives the same root twice', async ({ provider, kek, context }) => {
    const made = await Promise.all(Array.from({ length: 8 }, () => provider.generate(kek, context)));
    assert.equal(new Set(made.map(({ root }) => root.toString('hex'))).size, 8);
  }),
  kekCase('names the KEK and the wrapId in the wrap, and does not hold the root in it', async (started) => {
    const { provider, kek, context } = started;
    const { root, wrap } = await provider.generate(kek, context);
    assert.equal(wrap.kek, kek);
    assert.equal(wrap.wrapId, context.wrapId);
    assert.ok(wrap.created instanceof Date);
    assert.equal(wrap.wrapped.includes(root), false);
  }),
  ...(['application', 'environment', 'kind', 'delivery'] as const).map((member) =>
    kekCase(`refuses a wrap whose ${member} is another`, async ({ provider, kek, context }) => {
      const { wrap } = await provider.generate(kek, context);
      const other = { ...context, [member]: OTHER[member] };
      await rejectsWith('ERR_KMS_WRAP_REFUSED', provider.unwrap([wrap], other));
    }),
  ),
  kekCase('refuses a wrap that carries another wrapId', async ({ provider, kek, context }) => {
    const { wrap } = await provider.generate(kek, context);
    const moved = { ...wrap, wrapId: randomUUID() };
    await rejectsWith('ERR_KMS_WRAP_REFUSED', provider.unwrap([moved], context));
  }),
  kekCase('refuses a wrap with any byte changed', async ({ provider, kek, context }) => {
    const { wrap } = await provider.generate(kek, context);
    for (const at of [0, wrap.wrapped.length >> 1, wrap.wrapped.length - 1]) {
      await rejectsWith('ERR_KMS_WRAP_REFUSED', provider.unwrap([changed(wrap, at)], context));
    }
  }),
  kekCase('opens the next wrap when one is broken', async ({ provider, kek, context }) => {
    const { root, wrap } = await provider.generate(kek, context);
    const opened = await provider.unwrap([changed(wrap, wrap.wrapped.length - 1), wrap], context);
    assert.deepEqual(opened, root);
  }),
  kekCase('refuses a KEK of another purpose without any call', async (started) => {
    const { provider, context, otherPurpose } = started;
    const [otherKek = ''] = provider.keks(otherPurpose);
    const { wrap } = await provider.generate(otherKek, { ...context, purpose: otherPurpose });
    const before = totalOf(provider.calls());
    await rejectsWith('ERR_KMS_KEK_NOT_CONFIGURED', provider.unwrap([wrap], context));
    await rejectsWith('ERR_KMS_KEK_NOT_CONFIGURED', provider.generate(otherKek, context));
    assert.equal(totalOf(provider.calls()), before);
  }),
  kekCase('refuses all wraps when one names an unknown KEK, without any call', async (started) => {
    const { provider, kek, context } = started;
    const { wrap } = await provider.generate(kek, context);
    const before = totalOf(provider.calls());
    const planted = { ...wrap, kek: 'arn:aws:kms:eu-central-1:111111111111:key/planted' };
    await rejectsWith('ERR_KMS_KEK_NOT_CONFIGURED', provider.unwrap([wrap, planted], context));
    assert.equal(totalOf(provider.calls()), before);
  }),
  kekCase('refuses a key without wraps', async ({ provider, context }) => {
    await rejectsWith('ERR_KMS_WRAP_REFUSED', provider.unwrap([], context));
  }),
  kekCase('counts each wrap and each unwrap', async ({ provider, kek, context }) => {
    const before = totalOf(provider.calls());
    const { wrap } = await provider.generate(kek, context);
    await Promise.all(Array.from({ length: 20 }, () => provider.unwrap([wrap], context)));
    assert.equal(totalOf(provider.calls()) - before, 21);
  }),
  kekCase('has no KEK for a purpose that it was not started with', ({ provider }) => {
    assert.throws(() => provider.keks('unheard-of'), hasCode('ERR_KMS_KEK_NOT_CONFIGURED'));
    return Promise.resolve();
  }),
  {
    name: 'does not start for a purpose without KEK',
    async run(make) {
      const fixture = await make();
      try {
        await rejectsWith(
          'ERR_CONFIG_OPTION',
          fixture.provider.start(['unheard-of'], () => undefined),
        );
      } finally {
        await fixture.provider.close();
        await fixture.close();
      }
    },
  },
];

const OTHER = {
  application: 'another-application',
  environment: 'another-environment',
  kind: 'index',
  delivery: 'envelope',
} as const;

function kekCase(name: string, check: Check): KekProviderCase {
  return {
    name,
    async run(make) {
      const fixture = await make();
      const { provider, purpose, otherPurpose } = fixture;
      try {
        await provider.start([purpose, otherPurpose], () => undefined);
        const [kek] = provider.keks(purpose);
        assert.ok(kek !== undefined, 'expected at least one KEK');
        await check({ ...fixture, kek, context: contextOf(purpose) });
      } finally {
        await provider.close();
        await fixture.close();
      }
    },
  };
}

function contextOf(purpose: string): WrapContext {
  return {
    application: 'conformance',
    environment: 'test',
    purpose,
    kind: 'data',
    delivery: 'pool',
    wrapId: randomUUID(),
  };
}

function changed(wrap: Wrap, at: number): Wrap {
  const wrapped = Buffer.from(wrap.wrapped);
  wrapped.writeUInt8(wrapped.readUInt8(at) ^ 1, at);
  return { ...wrap, wrapped };
}

function totalOf(calls: Readonly<Record<string, number>>): number {
  return Object.values(calls).reduce((sum, count) => sum + count, 0);
}

async function rejectsWith(code: ErrorCode, promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, hasCode(code));
}

function hasCode(code: ErrorCode): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isFieldSealError(error), 'expected a FieldSealError');
    assert.equal(error.code, code);
    return true;
  };
}
