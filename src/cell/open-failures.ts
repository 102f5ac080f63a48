/** Why a cell was not opened, in words. Names column and key, which are public; no value, no ciphertext. */
import { FormatError, OpenError } from '../errors.js';
import { type CellColumn, nameOf } from './column.js';
import type { DataKey } from './data-key.js';
import type { ByteOne, Delivery } from './format.js';
import type { Suite } from './suites.js';

/** What a column opens; other cells are refused before a key is touched. */
export interface Accepted {
  readonly suites: readonly Suite[];
  readonly deliveries: readonly Delivery[];
}

export function cipherFailed(column: CellColumn, key: DataKey): OpenError {
  return new OpenError(
    'ERR_OPEN_CIPHER',
    `${nameOf(column)}: the cipher under key ${key.fingerprint} failed; nothing was opened, try again.`,
  );
}

export function openFailed(column: CellColumn, key: DataKey): OpenError {
  return new OpenError(
    'ERR_OPEN_FAILED',
    `${nameOf(column)}: expected a cell that key ${key.fingerprint} sealed for this column, row and declaration, ` +
      `got one that does not verify; it was changed or moved, or type, bind, context, application or environment ` +
      `were declared otherwise when it was sealed.`,
  );
}

export function unbound(column: CellColumn, key: DataKey): OpenError {
  return new OpenError(
    'ERR_OPEN_FAILED',
    `${nameOf(column)}: expected the bound values of the row to open a cell under key ${key.fingerprint}, got none; ` +
      `read the bound columns together with the cell.`,
  );
}

export function notAccepted(column: CellColumn, { suite, delivery }: ByteOne, accept: Accepted): FormatError {
  const { suites, deliveries } = accept;
  const [what, advice] = suites.includes(suite.suite)
    ? [
        `delivery ${delivery}, and the purpose opens ${deliveries.join(', ')}`,
        'add it to accept.deliveries where such cells are expected',
      ]
    : [
        `suite ${suite.suite}, and the purpose opens ${suites.join(', ')}`,
        'add it to accept.suites where such cells are expected',
      ];
  return new FormatError('ERR_FORMAT_NOT_ACCEPTED', `${nameOf(column)}: got a cell of ${what}; ${advice}.`);
}
