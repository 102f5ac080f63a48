/** What the criteria of a statement say about every row that they match. */
import { InstanceChecker } from 'typeorm';
import type { EncryptedColumn } from './encrypted-column.js';
import type { Row } from './internals.js';

/** The values that a `where` pins exactly; undefined for SQL, which may hold an OR for all around it. */
export function pinnedValues(columns: readonly EncryptedColumn[], where: unknown): Row | undefined {
  const pinned = equalities(where);
  return pinned && withoutInexact(columns, pinned);
}

/** The properties that a where object pins to one value; undefined for SQL, which may hold an OR for all around it. */
function equalities(where: unknown): Row | undefined {
  if (typeof where !== 'object' || where === null) return undefined;
  if (Array.isArray(where) || InstanceChecker.isBrackets(where)) return {};
  const pinned: Row = {};
  for (const [property, value] of Object.entries(where)) {
    if (!InstanceChecker.isFindOperator(value))
      pinned[property] = isNested(value) ? equalities(value) : value;
    else if (value.type === 'equal') pinned[property] = value.value;
    // TypeORM 0.3 names one row by its id so.
    else if (value.type === 'in' && Array.isArray(value.value) && value.value.length === 1)
      pinned[property] = (value.value as readonly unknown[])[0];
  }
  return pinned;
}

/** An embedded object, not a date or bytes: one whose prototype, of whichever realm, has none itself. */
function isNested(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Where `=` ignores case, say, it pins the row to a value, but not to which. */
function withoutInexact(columns: readonly EncryptedColumn[], pinned: Row): Row {
  const inexact = new Set<string>();
  for (const { bound } of columns) {
    for (const { column, isFoundExactly } of bound) {
      if (!isFoundExactly(column)) inexact.add(column.propertyPath.split('.')[0]!);
    }
  }
  return Object.fromEntries(Object.entries(pinned).filter(([property]) => !inexact.has(property)));
}
