/**
 * Truncated card numbers for display. The formats keep no more digits than PCI SSC FAQ 1091 allows: of 16 digits at
 * least 4 are removed, of 15 at least 5. A number of less than 15 digits has no room for the first six.
 */
import { SealError } from '../errors.js';

export type MaskName = 'last4' | 'first6last4';

interface Mask {
  readonly minDigits: number;
  readonly of: (digits: string) => string;
}

const MAX_PAN_DIGITS = 19; // ISO/IEC 7812-1

const MASKS: Readonly<Record<MaskName, Mask>> = {
  last4: { minDigits: 13, of: (digits) => digits.slice(-4) },
  first6last4: {
    minDigits: 15,
    of: (digits) => digits.slice(0, 6) + '*'.repeat(digits.length - 10) + digits.slice(-4),
  },
};

const DIGITS = /^[0-9]+$/;

/**
 * What is shown of a card number: `1111`, `411111******1111`.
 * @param where entity and field, for messages
 * @throws SealError `ERR_SEAL_TYPE` for what is no string, `ERR_SEAL_VALUE` for what is no card number of a length that the mask takes
 */
export function maskOf(name: MaskName, value: unknown, where: string): string {
  const { minDigits, of } = MASKS[name];
  if (
    typeof value === 'string' &&
    value.length >= minDigits &&
    value.length <= MAX_PAN_DIGITS &&
    DIGITS.test(value)
  )
    return of(value);
  if (typeof value !== 'string')
    throw new SealError('ERR_SEAL_TYPE', `${where}: expected a string, got ${typeof value}.`);
  throw new SealError(
    'ERR_SEAL_VALUE',
    `${where}: expected a card number of ${minDigits} to ${MAX_PAN_DIGITS} digits for the mask ${name}, got a string of ` +
      `${value.length} characters; remove spaces and dashes before saving.`,
  );
}
