/** Values of columns without encryption: a sealed one must not be stored as the text that it prints as, or as `false`. */
import type { DataSource } from 'typeorm';
import { override } from './internals.js';
import { refuseStandIn, whileSending } from './stand-in.js';

/**
 * Guards what TypeORM passes every value of a write through, whatever the column: there a sealed one would become part of a
 * JSON text, a list or an enum, or the opposite of `true`, and none of them could be told from a value in the parameters.
 */
export function guardStoredValues({ driver }: DataSource): void {
  const prepare = driver.preparePersistentValue.bind(driver);
  override(driver, 'preparePersistentValue', (value: unknown, column) => {
    if (typeof value !== 'object' || value === null) return prepare(value, column) as unknown;
    refuseStandIn(value);
    return whileSending(() => prepare(value, column) as unknown);
  });
}
