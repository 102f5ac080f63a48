/** Key pairs, whose private halves are wrapped like roots. */
import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, randomUUID } from 'node:crypto';
import type { WrapContext } from '../keys/ports.js';
import { changedEach, kekCase, rejectsWith, withoutCalls } from './kek-case.js';
import type { KekProviderCase } from './kek-case.js';

const OTHER = {
  application: 'another-application',
  environment: 'another-environment',
  kind: 'data',
  delivery: 'pool',
} as const;

export const kekPairCases: readonly KekProviderCase[] = [
  kekCase('makes P-256 pairs whose private key fits the public one', async (started) => {
    const { provider, kek } = started;
    const context = pairOf(started.context);
    const { publicKey, wrap } = await provider.generatePair(kek, context);
    const pkcs8 = await provider.unwrapPair([wrap], context);
    assert.ok(pkcs8.length > 32 && pkcs8.length <= 256);
    const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
    assert.equal(privateKey.asymmetricKeyDetails?.namedCurve, 'prime256v1');
    assert.equal(publicKey.length, 91);
    assert.deepEqual(createPublicKey(privateKey).export({ format: 'der', type: 'spki' }), publicKey);
    assert.equal(wrap.wrapped.includes(pkcs8), false);
    assert.deepEqual([wrap.kek, wrap.wrapId], [kek, context.wrapId]);
    pkcs8.fill(0);
    assert.equal((await provider.unwrapPair([wrap], context))[0], 0x30);
  }),
  kekCase('never makes the same pair twice', async ({ provider, kek, context }) => {
    const made = await Promise.all(
      Array.from({ length: 4 }, () => provider.generatePair(kek, pairOf(context))),
    );
    assert.equal(new Set(made.map(({ publicKey }) => publicKey.toString('hex'))).size, 4);
  }),
  ...(['application', 'environment', 'kind', 'delivery'] as const).map((member) =>
    kekCase(`refuses the wrap of a private key whose ${member} is another`, async (started) => {
      const context = pairOf(started.context);
      const { wrap } = await started.provider.generatePair(started.kek, context);
      const other = { ...context, [member]: OTHER[member] };
      await rejectsWith('ERR_KMS_WRAP_REFUSED', started.provider.unwrapPair([wrap], other));
    }),
  ),
  kekCase(
    'refuses the wrap of a private key that was changed, or carries another wrapId',
    async (started) => {
      const context = pairOf(started.context);
      const { wrap } = await started.provider.generatePair(started.kek, context);
      const others = [
        ...changedEach(wrap.wrapped).map((wrapped) => ({ ...wrap, wrapped })),
        { ...wrap, wrapId: randomUUID() },
      ];
      for (const other of others) {
        await rejectsWith('ERR_KMS_WRAP_REFUSED', started.provider.unwrapPair([other], context));
      }
      assert.ok((await started.provider.unwrapPair([...others, wrap], context)).length > 32);
    },
  ),
  kekCase('gives no root as a private key and no private key as a root', async (started) => {
    const { provider, kek } = started;
    const context = pairOf(started.context);
    const pair = await provider.generatePair(kek, context);
    const { wrap } = await provider.generate(kek, context);
    await assert.rejects(provider.unwrap([pair.wrap], context));
    await assert.rejects(provider.unwrapPair([wrap], context));
  }),
  kekCase('refuses pairs under a KEK of another purpose without any call', async (started) => {
    const { provider, otherKek, otherPurpose } = started;
    const context = pairOf(started.context);
    const { wrap } = await provider.generatePair(otherKek, { ...context, purpose: otherPurpose });
    await withoutCalls(provider, async () => {
      await rejectsWith('ERR_KMS_KEK_NOT_CONFIGURED', provider.unwrapPair([wrap], context));
      await rejectsWith('ERR_KMS_KEK_NOT_CONFIGURED', provider.generatePair(otherKek, context));
    });
  }),
];

function pairOf(context: WrapContext): WrapContext {
  return { ...context, kind: 'pair', delivery: 'sealed' };
}
