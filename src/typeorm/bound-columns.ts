/** The columns that a cell is bound to, and their values as bytes that the cell authenticates. */
import type { DataSource, EntityMetadata } from 'typeorm';
import { encodeBinding, type BoundKind } from '../cell/binding.js';
import { ConfigError, SealError } from '../errors.js';
import type { ColumnMetadata } from './internals.js';

export interface BoundColumn {
  readonly column: ColumnMetadata;
  readonly kind: BoundKind;
}

// Types whose database value has one exact form. Dates, floats, numeric, char(n) (padded) and json have several.
const KINDS: ReadonlyMap<unknown, BoundKind> = new Map<unknown, BoundKind>([
  ...(['text', 'varchar', 'character varying'] as const).map((type) => [type, 'text'] as const),
  [String, 'text'],
  ['uuid', 'uuid'],
  ...['int', 'int2', 'int4', 'int8', 'integer', 'smallint', 'bigint'].map(
    (type) => [type, 'integer'] as const,
  ),
  [Number, 'integer'],
  ['boolean', 'boolean'],
  ['bool', 'boolean'],
  [Boolean, 'boolean'],
  ['bytea', 'binary'],
]);

/** @throws ConfigError `ERR_CONFIG_FIELD` for properties that cannot be bound. */
export function boundColumns(
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
    return {
      column: column ?? refuse(label, name, 'there is no such property'),
      kind: kindOf(column, label, name),
    };
  });
}

/** The binding of one row, from the values that the database holds or will hold. */
export function bindingOf(
  bound: readonly BoundColumn[],
  valueOf: (column: ColumnMetadata) => unknown,
): Uint8Array {
  return encodeBinding(
    bound.map(({ column, kind }) => ({ name: column.propertyPath, kind, value: valueOf(column) })),
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
    const sent: unknown = dataSource.driver.preparePersistentValue(value, column);
    // For a property of type Boolean the driver sends 1 and 0, which the database gives back as booleans.
    return column.type === Boolean ? sent === 1 || sent === true : sent;
  });
}

function kindOf(column: ColumnMetadata | undefined, label: string, name: string): BoundKind {
  if (column?.relationMetadata) refuse(label, name, 'relations cannot be bound');
  if (column?.isGenerated || column?.asExpression !== undefined) {
    refuse(
      label,
      name,
      'the database generates it, so it is unknown before the INSERT. Let the application make the id',
    );
  }
  const kind = KINDS.get(column?.type);
  return kind ?? refuse(label, name, `columns of type ${String(column?.type)} have no exact form to bind to`);
}

function refuse(label: string, name: string, why: string): never {
  throw new ConfigError('ERR_CONFIG_FIELD', `${label}: cannot be bound to ${name}: ${why}.`);
}
