/**
 * Encrypted fields of an `EntitySchema`. Its column options can say neither that a column is hidden from the entity nor
 * that it has an index, so the siblings carry a marker, and attached data sources complete the metadata.
 */
import type { DataSource, EntityMetadata, EntitySchemaColumnOptions } from 'typeorm';
import { Declaration, type EncryptedOptions } from './declaration.js';
import { columnsOfField } from './field-columns.js';
import { columnInternals, indexMetadata, metadataInternals, type ColumnMetadata } from './internals.js';

/**
 * The columns of one encrypted field, to be spread into the `columns` of an EntitySchema; the same ones that `@Encrypted`
 * makes. `type` is `'string'` unless it is given. Do not copy the options of a column: their type is a getter, which
 * answers when a DataSource builds its metadata.
 *
 * The indexes of the siblings are part of the schema of attached DataSources only ('schema-only' included): do not
 * synchronize or generate migrations with one that is not attached, it would drop them, unless the schema lists them
 * itself: `indices: [{ columns: ['phone_key'] }, { columns: ['phone_bidx'], unique: true }]`.
 *
 * @throws ConfigError as `@Encrypted` does.
 * @example
 * new EntitySchema<Person>({
 *   name: 'person',
 *   columns: { id: { type: 'uuid', primary: true }, ...encryptedColumns('phone', { purpose: 'personal-data' }) },
 * });
 */
export function encryptedColumns<P extends string>(
  property: P,
  options: EncryptedOptions,
): Record<P, EntitySchemaColumnOptions> {
  const declaration = new Declaration(options, property);
  const columns = columnsOfField(property, declaration).map(
    ({ property: name, options, isHidden, index }) => {
      if (isHidden) Object.assign(options, { transformer: new HiddenSibling(property, index?.unique) });
      return [name, options] as const;
    },
  );
  return Object.fromEntries(columns) as Record<P, EntitySchemaColumnOptions>;
}

// Registered, so that a marker of another copy of the package is recognised.
const brand = Symbol.for('fieldseal/hidden-sibling');

/** Marks a sibling that attached data sources hide from the entity. */
class HiddenSibling {
  readonly [brand] = true;
  /** The property of its cell. */
  readonly property: string;
  /** Whether its index is unique; undefined for a sibling without index. */
  readonly isUnique: boolean | undefined;

  constructor(property: string, isUnique: boolean | undefined) {
    this.property = property;
    this.isUnique = isUnique;
  }

  to(value: unknown): unknown {
    return value;
  }

  from(value: unknown): unknown {
    return value;
  }
}

/** Makes metadata built from schemas what it is when built from decorators. Metadata is built anew by each `initialize()`. */
export function completeSchemas(dataSource: DataSource): void {
  for (const metadata of dataSource.entityMetadatas) {
    const siblings = metadata.columns.filter(isMarked);
    if (siblings.length > 0) hideSiblings(dataSource, metadata, siblings);
  }
}

function hideSiblings(
  dataSource: DataSource,
  metadata: EntityMetadata,
  siblings: readonly ColumnMetadata[],
): void {
  for (const column of siblings) {
    const { isUnique } = column.transformer as unknown as HiddenSibling;
    columnInternals(column).isVirtual = true;
    if (isUnique === undefined) continue;
    const name = dataSource.namingStrategy.indexName(metadata.tableName, [column.databaseName]);
    // A schema may declare the index itself, so that data sources that are not attached know it too.
    if (!metadata.indices.some((index) => index.name === name)) {
      metadata.indices.push(indexMetadata(metadata, name, column, isUnique));
    }
  }
  metadataInternals(metadata).nonVirtualColumns = metadata.columns.filter(({ isVirtual }) => !isVirtual);
}

/** Where the cell of a sibling should be; undefined for every column that is no sibling of a schema. */
export function cellPathOf(column: ColumnMetadata): string | undefined {
  if (!isMarked(column)) return undefined;
  const { property } = column.transformer as unknown as HiddenSibling;
  return column.propertyPath.slice(0, -column.propertyName.length) + property;
}

const isMarked = ({ transformer }: ColumnMetadata): boolean =>
  typeof transformer === 'object' && brand in transformer;
