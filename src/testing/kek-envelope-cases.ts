/** Envelope keys, whose wraps stand in cells. */
import assert from 'node:assert/strict';
import type { KeyScope, Wrap, WrapContext } from '../keys/ports.js';
import { changedEach, kekCase, rejectsWith, withoutCalls } from './kek-case.js';
import type { KekProviderCase } from './kek-case.js';

export const kekEnvelopeCases: readonly KekProviderCase[] = [
  kekCase('opens the envelope keys it made and gives 32 bytes of its own each time', async (started) => {
    const { provider, kek, scope } = started;
    const made = await provider.generateEnvelope(kek, scope);
    const first = await provider.unwrapEnvelope(kek, made.wrapped, scope);
    const second = await provider.unwrapEnvelope(kek, made.wrapped, scope);
    assert.equal(made.kek, kek);
    assert.equal(made.root.length, 32);
    assert.deepEqual(first, made.root);
    first.fill(0);
    assert.deepEqual(second, made.root);
  }),
  kekCase('wraps an envelope key in at most 6,144 bytes that do not hold it', async (started) => {
    const { root, wrapped } = await started.provider.generateEnvelope(started.kek, started.scope);
    assert.ok(wrapped.length > 32 && wrapped.length <= 6_144);
    assert.equal(wrapped.includes(root), false);
  }),
  kekCase('never gives the same envelope key twice', async ({ provider, kek, scope }) => {
    const made = await Promise.all(Array.from({ length: 8 }, () => provider.generateEnvelope(kek, scope)));
    assert.equal(new Set(made.map(({ root }) => root.toString('hex'))).size, 8);
  }),
  kekCase('opens an envelope key from a view into a longer row', async ({ provider, kek, scope }) => {
    const { root, wrapped } = await provider.generateEnvelope(kek, scope);
    const row = new Uint8Array(Buffer.concat([Buffer.alloc(7, 1), wrapped, Buffer.alloc(9, 2)]));
    const view = row.subarray(7, 7 + wrapped.length);
    assert.deepEqual(await provider.unwrapEnvelope(kek, view, scope), root);
  }),
  ...(['application', 'environment'] as const).map((member) =>
    kekCase(`refuses an envelope key whose ${member} is another`, async ({ provider, kek, scope }) => {
      const { wrapped } = await provider.generateEnvelope(kek, scope);
      const other: KeyScope = { ...scope, [member]: `another-${member}` };
      await rejectsWith('ERR_KMS_WRAP_REFUSED', provider.unwrapEnvelope(kek, wrapped, other));
    }),
  ),
  kekCase('refuses an envelope key of another purpose that names a KEK of this one', async (started) => {
    const { provider, kek, otherKek, scope, otherPurpose } = started;
    const other = { ...scope, purpose: otherPurpose };
    const { wrapped } = await provider.generateEnvelope(otherKek, other);
    await rejectsWith('ERR_KMS_WRAP_REFUSED', provider.unwrapEnvelope(kek, wrapped, scope));
  }),
  kekCase('refuses the wrap of an envelope key with any byte changed, or none', async (started) => {
    const { provider, kek, scope } = started;
    const { wrapped } = await provider.generateEnvelope(kek, scope);
    for (const other of [...changedEach(wrapped), Buffer.alloc(0), Buffer.alloc(6_145, 1)]) {
      await rejectsWith('ERR_KMS_WRAP_REFUSED', provider.unwrapEnvelope(kek, other, scope));
    }
  }),
  kekCase('refuses envelope keys under a KEK of another purpose without any call', async (started) => {
    const { provider, otherKek, scope, otherPurpose } = started;
    const { wrapped } = await provider.generateEnvelope(otherKek, { ...scope, purpose: otherPurpose });
    await withoutCalls(provider, async () => {
      const opened = provider.unwrapEnvelope(otherKek, wrapped, scope);
      await rejectsWith('ERR_KMS_KEK_NOT_CONFIGURED', opened);
      await rejectsWith('ERR_KMS_KEK_NOT_CONFIGURED', provider.generateEnvelope(otherKek, scope));
    });
  }),
  kekCase('refuses an envelope key that names an unknown KEK without any call', async (started) => {
    const { provider, kek, scope } = started;
    const { wrapped } = await provider.generateEnvelope(kek, scope);
    const planted = 'arn:aws:kms:eu-central-1:111111111111:key/planted';
    await withoutCalls(provider, async () => {
      await rejectsWith('ERR_KMS_KEK_NOT_CONFIGURED', provider.unwrapEnvelope(planted, wrapped, scope));
    });
  }),
  kekCase('never opens an envelope key as one of a key store, whatever its row says', async (started) => {
    const { provider, kek, scope, context } = started;
    const { wrapped } = await provider.generateEnvelope(kek, scope);
    for (const wrapId of [context.wrapId, '', 'undefined']) {
      for (const delivery of ['pool', 'envelope', 'sealed'] as const) {
        const planted: Wrap = { kek, keyMaterialId: null, wrapId, wrapped, created: new Date() };
        const row = { ...context, delivery };
        await rejectsWith('ERR_KMS_WRAP_REFUSED', provider.unwrap([planted], row));
        await rejectsWith('ERR_KMS_WRAP_REFUSED', provider.unwrapPair([planted], row));
      }
    }
  }),
  kekCase(
    'never opens a key of a key store as an envelope key, whatever it was made for',
    async (started) => {
      const { provider, kek, scope, context } = started;
      for (const wrapId of [context.wrapId, '']) {
        for (const delivery of ['pool', 'envelope', 'sealed'] as const) {
          const made: WrapContext = { ...context, delivery, wrapId };
          const { wrapped } = (await provider.generate(kek, made)).wrap;
          await rejectsWith('ERR_KMS_WRAP_REFUSED', provider.unwrapEnvelope(kek, wrapped, scope));
        }
      }
    },
  ),
  kekCase('tells that these credentials may open what each KEK wraps', async (started) => {
    const { provider, scope, purpose } = started;
    const privileges = await provider.notDenied(scope);
    for (const kek of provider.keks(purpose)) {
      const found = privileges.filter((one) => one.kek === kek && one.operation === 'Decrypt');
      assert.deepEqual(found, [{ kek, operation: 'Decrypt', answer: 'allowed' }]);
    }
    assert.ok(privileges.every(({ kek }) => provider.keks(purpose).includes(kek)));
  }),
];
