/** The columns that a cell is bound to, and their values as bytes that the cell authenticates. */
import type { DataSource, EntityMetadata } from 'typeorm';
import { encodeBinding } from '../cell/binding.js';
import { ConfigError, SealError } from '../errors.js';
import { boundTypeOf, type BoundType } from './bound-types.js';
import type { Family } from './column-types.js';
import type { ColumnMetadata } from './internals.js';

export interface BoundColumn extends BoundType {
  readonly column: ColumnMetadata;
}

/** @throws ConfigError `ERR_CONFIG_FIELD` for properties that cannot be bound. */
export function boundColumns(
  family: Family,
  metadata: EntityMetadata,
  cell: ColumnMetadata,
  bind: readonly string[] | false | undefined,
  label: string,
): readonly BoundColumn[] {
  if (!bind) return [];
  const prefix = cell.propertyPath.slice(0, -cell.propertyName.length);
  return bind.map((name) => {
    const column =
      metadata.findColumnWithPropertyPath(prefix + name) ?? metadata.findColumnWithPropertyPath(name);
    if (!column) return refuse(label, name, 'there is no such property');
    return { column, ...typeOf(family, column, label, name) };
  });
}

/** The binding of one row, from the values that the database holds or will hold. */
export function bindingOf(
  bound: readonly BoundColumn[],
  valueOf: (column: ColumnMetadata) => unknown,
): Uint8Array {
  return encodeBinding(
    bound.map(({ column, kind, exact }) => ({
      name: column.propertyPath,
      kind,
      value: exact(valueOf(column), column),
    })),
  );
}

/** The binding of a row that is being written: bound properties as the driver will send them. */
export function bindingOfEntity(
  dataSource: DataSource,
  bound: readonly BoundColumn[],
  entity: object,
  label: string,
): Uint8Array {
  return bindingOf(bound, (column) => {
    const value: unknown = column.getEntityValue(entity);
    if (typeof value === 'function' || value === null || value === undefined) {
      throw new SealError(
        'ERR_SEAL_BINDING',
        `${label} is bound to ${column.propertyPath}, which must be known when the field is sealed: expected its value in ` +
          `the same statement, got ${typeof value === 'function' ? 'an SQL expression' : 'nothing'}.`,
      );
    }
    return dataSource.driver.preparePersistentValue(value, column) as unknown;
  });
}

function typeOf(family: Family, column: ColumnMetadata, label: string, name: string): BoundType {
  if (column.relationMetadata) refuse(label, name, 'relations cannot be bound');
  if (column.isGenerated || column.asExpression !== undefined) {
    refuse(
      label,
      name,
      'the database generates it, so it is unknown before the INSERT. Let the application make the id',
    );
  }
  return (
    boundTypeOf(family, column) ??
    refuse(label, name, `columns of type ${String(column.type)} have no exact form to bind to`)
  );
}

function refuse(label: string, name: string, why: string): never {
  throw new ConfigError('ERR_CONFIG_FIELD', `${label}: cannot be bound to ${name}: ${why}.`);
}
