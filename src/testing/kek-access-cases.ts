/** What a provider may be asked for: started write-only, and closed. */
import assert from 'node:assert/strict';
import type { ErrorCode } from '../errors.js';
import type { Wrap } from '../keys/ports.js';
import {
  hasCode,
  kekCase,
  rejectsWith,
  scopeOf,
  totalOf,
  unstartedCase,
  withoutCalls,
  writeOnlyCase,
} from './kek-case.js';
import type { KekProviderCase, StartedFixture } from './kek-case.js';

export const kekAccessCases: readonly KekProviderCase[] = [
  kekCase('names among the KEKs that unwrap all those that wrap', ({ provider, purpose }) => {
    const open = provider.openKeks(purpose);
    assert.ok(provider.keks(purpose).every((kek) => open.includes(kek)));
    return Promise.resolve();
  }),
  writeOnlyCase('started write-only, makes envelope keys and has no KEK that unwraps', async (started) => {
    const { provider, kek, scope, purpose } = started;
    const made = await provider.generateEnvelope(kek, scope);
    assert.equal(made.root.length, 32);
    assert.equal(made.kek, kek);
    assert.deepEqual(provider.openKeks(purpose), []);
  }),
  writeOnlyCase('started write-only, refuses everything else without any call', async (started) => {
    const { provider, kek, scope, context } = started;
    const { wrapped } = await provider.generateEnvelope(kek, scope);
    await withoutCalls(provider, async () => {
      await rejectsAll('ERR_KMS_WRITE_ONLY', started, wrapped);
      await rejectsWith('ERR_KMS_WRITE_ONLY', provider.unwrap([], context));
    });
  }),
  writeOnlyCase('started write-only, refuses a KEK of another purpose without any call', async (started) => {
    const { provider, otherKek, scope } = started;
    await withoutCalls(provider, () =>
      rejectsWith('ERR_KMS_KEK_NOT_CONFIGURED', provider.generateEnvelope(otherKek, scope)),
    );
  }),
  writeOnlyCase('started write-only, still tells that these credentials may open', async (started) => {
    const { provider, kek, scope } = started;
    const found = (await provider.notDenied(scope)).find((one) => one.kek === kek);
    assert.deepEqual(found, { kek, operation: 'Decrypt', answer: 'allowed' });
  }),
  unstartedCase('does not start write-only for a purpose without KEK', async ({ provider }) => {
    const starting = provider.startWriteOnly([scopeOf('unheard-of')], () => undefined);
    await rejectsWith('ERR_CONFIG_OPTION', starting);
  }),
  unstartedCase('started read-only, opens what others wrapped and makes nothing', async (fixture) => {
    const { provider, purpose } = fixture;
    await provider.startReadOnly([purpose], () => undefined);
    assert.deepEqual(provider.keks(purpose), []);
    const [kek] = provider.openKeks(purpose);
    await rejectsWith('ERR_KMS_KEK_NOT_CONFIGURED', provider.generateEnvelope(kek!, scopeOf(purpose)));
    await rejectsWith(
      'ERR_KMS_WRAP_REFUSED',
      provider.unwrapEnvelope(kek!, Buffer.alloc(184, 1), scopeOf(purpose)),
    );
  }),
  kekCase('refuses everything once it is closed, and still tells its calls', async (started) => {
    const { provider, kek, scope, purpose } = started;
    const { wrapped } = await provider.generateEnvelope(kek, scope);
    await provider.close();
    await withoutCalls(provider, async () => {
      await rejectsAll('ERR_KMS_UNAVAILABLE', started, wrapped);
      await rejectsWith('ERR_KMS_UNAVAILABLE', provider.generateEnvelope(kek, scope));
      await rejectsWith('ERR_KMS_UNAVAILABLE', provider.notDenied(scope));
    });
    assert.throws(() => provider.keks(purpose), hasCode('ERR_KMS_UNAVAILABLE'));
    assert.throws(() => provider.openKeks(purpose), hasCode('ERR_KMS_UNAVAILABLE'));
    assert.ok(totalOf(provider.calls()) >= 1);
  }),
];

/** All that a write-only process may not do. */
async function rejectsAll(code: ErrorCode, started: StartedFixture, wrapped: Buffer): Promise<void> {
  const { provider, kek, scope, context } = started;
  const { wrapId } = context;
  const wrap: Wrap = { kek, keyMaterialId: null, wrapId, wrapped, created: new Date() };
  await rejectsWith(code, provider.generate(kek, context));
  await rejectsWith(code, provider.unwrap([wrap], context));
  await rejectsWith(code, provider.unwrapEnvelope(kek, wrapped, scope));
  await rejectsWith(code, provider.generatePair(kek, { ...context, kind: 'pair' }));
  await rejectsWith(code, provider.unwrapPair([wrap], { ...context, kind: 'pair' }));
}
