/**
 * The last net. What stands for a value that was not sealed, or not opened, must not reach a driver: some bind the text
 * that it prints as, and where one throws in the middle of a bind the connection may never answer again, as with pg 8.20.
 * So it is looked for before a statement is sent.
 */
import { isDate } from 'node:util/types';
import { SealError } from '../errors.js';

// Two copies of the package must know each other's.
const BRAND = Symbol.for('fieldseal/stand-in');

/** The name of the method that says why the value may not be sent. */
export const WHY_NOT: typeof BRAND = BRAND;

interface StandIn {
  [WHY_NOT](): SealError;
}

// Shared with other copies of the package, as the brand is.
const SENDING = Symbol.for('fieldseal/sending');
const sending = ((globalThis as { [SENDING]?: { isNow: boolean } | undefined })[SENDING] ??= {
  isNow: false,
});

/**
 * What a stand-in prints as: for people, and never for a database.
 * @throws SealError while a value is made ready to be sent.
 */
export function printed(standIn: StandIn, text: string): string {
  if (sending.isNow) throw standIn[WHY_NOT]();
  return text;
}

/**
 * Makes a value ready to be sent. JSON, lists and enums become text there, in which a stand-in would be nothing but what it
 * prints as; however deep it lies, it is asked to print itself, and throws instead. So nothing needs to be searched.
 */
export function whileSending<T>(prepare: () => T): T {
  const before = sending.isNow;
  sending.isNow = true;
  try {
    return prepare();
  } finally {
    sending.isNow = before;
  }
}

/** @throws SealError where the value itself stands for something else. */
export function refuseStandIn(value: object): void {
  if (BRAND in value) throw (value as StandIn)[WHY_NOT]();
}

/**
 * Looks at each value of a list, and into the lists and objects in it; at 60,000 parameters in half a millisecond.
 * @param parameters As a query runner takes them: a list, or an object of named ones.
 * @throws SealError `ERR_SEAL_NOT_ATTACHED`, `ERR_SEAL_TYPE` of the first that stands for something else.
 */
export function refuseStandIns(parameters: unknown): void {
  if (typeof parameters !== 'object' || parameters === null) return;
  const values: readonly unknown[] = Array.isArray(parameters) ? parameters : Object.values(parameters);
  for (const value of values) {
    if (typeof value !== 'object' || value === null) continue;
    refuseStandIn(value);
    if (Array.isArray(value)) refuseStandIns(value);
    else if (!ArrayBuffer.isView(value) && !isDate(value)) refuseInside(value);
  }
}

/** Drivers make JSON of an object. What has no JSON is left to them. */
function refuseInside(value: object): void {
  try {
    whileSending(() => JSON.stringify(value));
  } catch (error) {
    if (error instanceof SealError) throw error;
  }
}
