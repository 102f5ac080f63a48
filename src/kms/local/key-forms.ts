/** The keys that local KEKs wrap: how each is unwrapped, and how long its wraps are. */
import type { BoundContext } from '../wrap-context.js';
import { WRAPPED_BYTES, WRAPPED_PAIR_BYTES } from './local-kek.js';
import type { LocalKek } from './local-kek.js';

export interface KeyForm {
  readonly unwrap: (kek: LocalKek, wrapped: Uint8Array, context: BoundContext) => Buffer | undefined;
  /** Lengths of its wraps, bytes. */
  readonly least: number;
  readonly most: number;
}

export const ROOT_FORM: KeyForm = {
  unwrap: (kek, wrapped, context) => kek.unwrap(wrapped, context),
  least: WRAPPED_BYTES,
  most: WRAPPED_BYTES,
};

export const PAIR_FORM: KeyForm = {
  unwrap: (kek, wrapped, context) => kek.unwrapPair(wrapped, context),
  ...WRAPPED_PAIR_BYTES,
};
