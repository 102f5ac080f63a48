/** Data keys of envelope cells at the KMS: made for writers, unwrapped for readers. */
import { kekRefOf } from '../cell/delivery-header.js';
import { isFieldSealError, KmsError } from '../errors.js';
import type { EnvelopeKey, KekProvider, KeyScope, RandomBelow } from '../keys/ports.js';

/**
 * Under one of the KEKs at random: no single KEK opens all that is written. One KMS call, one more for each KEK that does
 * not answer. @throws KmsError of the first.
 */
export async function makeEnvelopeKey(
  kms: KekProvider,
  scope: KeyScope,
  randomBelow: RandomBelow,
): Promise<EnvelopeKey> {
  let keks = kms.keks(scope.purpose);
  let failure: unknown;
  while (keks.length > 0) {
    const chosen = keks[randomBelow(keks.length)]!;
    try {
      const { root, kek, wrapped } = await kms.generateEnvelope(chosen, scope);
      return { root, wrapped, kekRef: kekRefOf(kek) };
    } catch (error) {
      failure ??= error;
      if (!isFieldSealError(error) || !error.retryable) break;
      keks = keks.filter((kek) => kek !== chosen);
    }
  }
  throw failure;
}

/**
 * The root; the receiver wipes it. One KMS call.
 * @throws KmsError, `ERR_KMS_KEK_NOT_CONFIGURED` before any call: a cell may only name configured KEKs.
 */
export async function openEnvelopeKey(
  kms: KekProvider,
  scope: KeyScope,
  kekRef: Uint8Array,
  wrapped: Uint8Array,
): Promise<Buffer> {
  const kek = kms.openKeks(scope.purpose).find((name) => kekRefOf(name).equals(kekRef));
  if (kek !== undefined) return kms.unwrapEnvelope(kek, wrapped, scope);
  throw new KmsError(
    'ERR_KMS_KEK_NOT_CONFIGURED',
    `Purpose "${scope.purpose}": expected an envelope cell under a KEK of keks or openKeks, got one that names another ` +
      `(${Buffer.from(kekRef).toString('hex')}, the start of SHA-256 of its name); add the KEK, or find out who wrote it.`,
  );
}
