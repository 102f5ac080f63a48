/** Where the data keys of records come from: wrapped by the KMS, or sealed to a public key in this process. */
import { DataKey, type KeyOwner } from '../cell/data-key.js';
import { sealSession } from '../cell/session-key.js';
import type { Clock, EnvelopeKey } from './ports.js';
import type { PublicKeyPool } from './public-key-pool.js';
import type { MadeKey } from './record-keys.js';
import { inSlices } from './slices.js';
import { answerOf } from './source-calls.js';

/** One call of the key source a key. */
export function envelopeKeyMaker(
  owner: KeyOwner,
  clock: Clock,
  make: () => Promise<EnvelopeKey>,
): () => Promise<MadeKey> {
  const what = `Data key for envelope cells of purpose ${owner.purpose}`;
  return async () => {
    const made = await answerOf(clock, what, make, ({ root }) => root.fill(0));
    return { key: DataKey.deriveEnvelope(made.root, owner, made) };
  };
}

/**
 * About 0.3 ms a key, and no I/O: the public keys are here, but after the process stood still. Many keys do not block the
 * event loop.
 */
export function sessionKeyMaker(owner: KeyOwner, pool: PublicKeyPool): () => Promise<MadeKey> {
  const make = (): MadeKey => {
    const { key: publicKey, sealUntil } = pool.draw();
    return { key: sealSession(publicKey, owner), sealUntil };
  };
  return async () => {
    await pool.moreKeys();
    return inSlices(make);
  };
}
