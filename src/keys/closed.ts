/** What every use of a closed field seal throws. */
import { KeyError } from '../errors.js';

export function closedError(): KeyError {
  return new KeyError('ERR_CLOSED', 'The field seal is closed; make a new one with createFieldSeal().');
}
