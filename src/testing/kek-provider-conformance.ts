/** Behaviour that every KekProvider must show, as cases that need no test framework. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { Wrap } from '../keys/ports.js';
import { kekAccessCases } from './kek-access-cases.js';
import {
  changedEach,
  hasCode,
  kekCase,
  rejectsWith,
  totalOf,
  unstartedCase,
  withoutCalls,
} from './kek-case.js';
import type { KekProviderCase } from './kek-case.js';
import { kekEnvelopeCases } from './kek-envelope-cases.js';
import { kekPairCases } from './kek-pair-cases.js';

export type { KekProviderCase, KekProviderFixture } from './kek-case.js';

const OTHER = {
  application: 'another-application',
  environment: 'another-environment',
  kind: 'index',
  delivery: 'envelope',
} as const;

const rootCases: readonly KekProviderCase[] = [
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
    for (const wrapped of changedEach(wrap.wrapped)) {
      await rejectsWith('ERR_KMS_WRAP_REFUSED', provider.unwrap([{ ...wrap, wrapped }], context));
    }
  }),
  kekCase('opens the next wrap when some are broken', async ({ provider, kek, context }) => {
    const { root, wrap } = await provider.generate(kek, context);
    const broken: Wrap[] = changedEach(wrap.wrapped).map((wrapped) => ({ ...wrap, wrapped }));
    assert.deepEqual(await provider.unwrap([...broken, wrap], context), root);
  }),
  kekCase('refuses a KEK of another purpose without any call', async (started) => {
    const { provider, context, otherKek, otherPurpose } = started;
    const { wrap } = await provider.generate(otherKek, { ...context, purpose: otherPurpose });
    await withoutCalls(provider, async () => {
      await rejectsWith('ERR_KMS_KEK_NOT_CONFIGURED', provider.unwrap([wrap], context));
      await rejectsWith('ERR_KMS_KEK_NOT_CONFIGURED', provider.generate(otherKek, context));
    });
  }),
  kekCase('refuses all wraps when one names an unknown KEK, without any call', async (started) => {
    const { provider, kek, context } = started;
    const { wrap } = await provider.generate(kek, context);
    const planted = { ...wrap, kek: 'arn:aws:kms:eu-central-1:111111111111:key/planted' };
    await withoutCalls(provider, () =>
      rejectsWith('ERR_KMS_KEK_NOT_CONFIGURED', provider.unwrap([wrap, planted], context)),
    );
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
  unstartedCase('does not start for a purpose without KEK', ({ provider }) =>
    rejectsWith(
      'ERR_CONFIG_OPTION',
      provider.start(['unheard-of'], () => undefined),
    ),
  ),
];

export const kekProviderConformance: readonly KekProviderCase[] = [
  ...rootCases,
  ...kekEnvelopeCases,
  ...kekPairCases,
  ...kekAccessCases,
];
