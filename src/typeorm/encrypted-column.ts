/** The encrypted columns of one data source: found by their declaration, checked, bound to a field seal. */
import type { DataSource, EntityMetadata } from 'typeorm';
import { ConfigError } from '../errors.js';
import type {
  FieldColumn,
  FieldDeclaration,
  FieldSealPages,
  PreviousDeclaration,
} from '../keys/field-seal.js';
import { boundColumns, type BoundColumn } from './bound-columns.js';
import { readClaims, type Claims } from './claims.js';
import { familyOf, type Family } from './column-types.js';
import { declarationOf, type Declaration } from './declaration.js';
import { completeSchemas } from './entity-schema.js';
import { indexProperty, keyProperty, maskProperty } from './field-columns.js';
import { referencedColumns, refuseReferenced } from './foreign-keys.js';
import { assertInForce } from './in-force.js';
import type { ColumnMetadata } from './internals.js';
import { isMaskMark } from './mask-column.js';
import { refuseSharedColumns } from './shared-columns.js';
import { leaveOneIndexEach } from './sibling-indexes.js';
import { refuseEncryptedView } from './views.js';

/** One encrypted column of one entity. */
export interface EncryptedColumn {
  readonly metadata: EntityMetadata;
  /** The cell. */
  readonly cell: ColumnMetadata;
  /** Sibling with the fingerprint. */
  readonly key: ColumnMetadata;
  /** Sibling with the blind index. */
  readonly index: ColumnMetadata | undefined;
  /** Sibling with a truncated form of the value, which the entity shows. */
  readonly mask: ColumnMetadata | undefined;
  readonly bound: readonly BoundColumn[];
  /** What cells of the older declaration are bound to, where those are accepted. */
  readonly previouslyBound: readonly BoundColumn[];
  /** Whether rows may have a cell and no index, which is made later. */
  readonly isIndexedLater: boolean;
  /** Whether a search for null means IS NULL (`invalidWhereValuesBehavior: { null: 'sql-null' }`); else it is refused. */
  readonly isNullSearched: boolean;
  /** Whether the database is to check that cell and fingerprint belong together. */
  readonly isChecked: boolean;
  readonly handle: FieldColumn;
  /** Entity and property, for messages. */
  readonly label: string;
}

/** Finds the encrypted columns of an entity; empty for all others. */
export type ColumnsOf = (metadata: EntityMetadata) => readonly EncryptedColumn[];

/**
 * Checks every encrypted column of the data source and declares it to the field seal.
 * @throws ConfigError `ERR_CONFIG_FIELD`, `ERR_CONFIG_DUPLICATE_CONTEXT`, `ERR_CONFIG_PURPOSE_UNKNOWN`.
 */
export function bindColumns(dataSource: DataSource, seal: Pick<FieldSealPages, 'column'>): ColumnsOf {
  const family = familyOf(dataSource);
  completeSchemas(dataSource);
  const contexts = new Map<string, string>();
  const byMetadata = new Map<EntityMetadata, readonly EncryptedColumn[]>();
  const claimsOn = readClaims();
  const referenced = referencedColumns(dataSource);
  const isNullSearched = nullBehavior(dataSource) === 'sql-null';
  for (const metadata of dataSource.entityMetadatas) {
    const claims = claimsOn(metadata);
    assertInForce(metadata, claims);
    const columns = metadata.columns.flatMap((cell) => {
      const declaration = declarationOf(cell.transformer);
      if (declaration === undefined) return [];
      refuseReferenced(metadata, cell, referenced);
      const bound = bindColumn(family, metadata, claims, cell, declaration, seal);
      const column = { ...bound, isNullSearched };
      refuseSharedContext(contexts, column, declaration);
      return [column];
    });
    if (columns.length === 0) continue;
    leaveOneIndexEach(metadata, columns);
    byMetadata.set(metadata, columns);
  }
  const none: readonly EncryptedColumn[] = [];
  const columnsOf: ColumnsOf = (metadata) => byMetadata.get(metadata) ?? none;
  refuseSharedColumns(dataSource, columnsOf);
  return columnsOf;
}

/** Whether an entity of the data source has an encrypted field; no before its metadata is built. */
export function hasEncryptedFields(dataSource: DataSource): boolean {
  return dataSource.entityMetadatas.some(({ columns }) =>
    columns.some(({ transformer }) => declarationOf(transformer) !== undefined),
  );
}

export function findColumn(columns: readonly EncryptedColumn[], path: string): EncryptedColumn | undefined {
  return columns.find((column) => column.cell.propertyPath === path);
}

/** The columns that are written together with the cell. */
export function siblingsOf({ key, index, mask }: EncryptedColumn): readonly ColumnMetadata[] {
  return [key, index, mask].filter((sibling) => sibling !== undefined);
}

function bindColumn(
  family: Family,
  metadata: EntityMetadata,
  claims: Claims,
  cell: ColumnMetadata,
  declaration: Declaration,
  seal: Pick<FieldSealPages, 'column'>,
): Omit<EncryptedColumn, 'isNullSearched'> {
  const label = `${metadata.name}.${cell.propertyPath}`;
  refuseEncryptedView(metadata, label);
  refuseUnsuitable(metadata, cell, label);
  const { options } = declaration;
  const bound = boundColumns(family, metadata, cell, options.bind, label);
  const [entity, field] = contextOf(metadata, cell, options.context);
  const { blindIndex } = options;
  const previously = options.acceptPreviously ? options.previously : undefined;
  const handle = seal.column({
    purpose: options.purpose,
    entity,
    field,
    codec: options.type,
    ...(options.pad !== undefined && { pad: options.pad }),
    ...(options.bind !== undefined && { bound: options.bind !== false }),
    ...(options.mask !== undefined && { mask: options.mask }),
    ...(previously && { previously: previousDeclaration(previously) }),
    ...(blindIndex && { blindIndex: indexDeclaration(blindIndex) }),
  });
  return {
    metadata,
    cell,
    key: sibling(metadata, claims, cell, keyProperty, label),
    index: blindIndex && sibling(metadata, claims, cell, indexProperty, label),
    mask: options.mask && sibling(metadata, claims, cell, maskProperty, label),
    bound,
    previouslyBound: boundColumns(
      family,
      metadata,
      cell,
      previously?.bind ?? (previously && options.bind),
      label,
    ),
    isIndexedLater: blindIndex?.later === true,
    isChecked: options.check,
    handle,
    label,
  };
}

function indexDeclaration({
  normalize,
  later,
}: NonNullable<Declaration['options']['blindIndex']>): NonNullable<FieldDeclaration['blindIndex']> {
  return { ...(normalize && { normalize }), ...(later && { later }) };
}

/** The context names what a cell belongs to: class names break under inheritance and minifiers, table names do not. */
function contextOf(
  metadata: EntityMetadata,
  cell: ColumnMetadata,
  context: string | undefined,
): [string, string] {
  return context === undefined ? [metadata.tableName, cell.databaseName] : splitContext(context);
}

function splitContext(context: string): [entity: string, field: string] {
  const dot = context.indexOf('.');
  return [context.slice(0, dot), context.slice(dot + 1)];
}

type Previously = NonNullable<Declaration['options']['previously']>;

function previousDeclaration({ type, bind, context, convert, revert }: Previously): PreviousDeclaration {
  const [entity, field] = context === undefined ? [] : splitContext(context);
  return {
    ...(entity !== undefined && { entity }),
    ...(field !== undefined && { field }),
    ...(type !== undefined && { codec: type }),
    ...(bind !== undefined && { bound: bind !== false }),
    ...(convert && { convert }),
    ...(revert && { revert }),
  };
}

const UNSUITABLE: readonly (readonly [(m: EntityMetadata, c: ColumnMetadata) => boolean, string])[] = [
  [(_, c) => c.isPrimary, 'a primary key'],
  [(_, c) => c.relationMetadata !== undefined || c.referencedColumn !== undefined, 'a join column'],
  [(_, c) => c.isDiscriminator, 'a discriminator'],
  [(_, c) => c.isGenerated || c.asExpression !== undefined, 'a generated column'],
  [(_, c) => c.default !== undefined, 'a column with a default of the database'],
  [(_, c) => c.isArray, 'an array column'],
  [(m, c) => m.indices.some((index) => isOver(index, c)), 'an indexed column (use blindIndex)'],
  [
    (m, c) => m.uniques.some((unique) => unique.columns.includes(c)),
    'a unique column (use blindIndex: { unique: true })',
  ],
];

/** An index that TypeORM does not make keeps the names that were given, and no columns. */
function isOver(
  { columns, synchronize, givenColumnNames: given, embeddedMetadata, entityMetadata }: Index,
  column: ColumnMetadata,
): boolean {
  if (synchronize || given === undefined) return columns.includes(column);
  const of = Array.isArray(given) ? given : given(entityMetadata.propertiesMap);
  const names = Array.isArray(of) ? of.map((name) => String(name).trim()) : Object.keys(of);
  const before = embeddedMetadata && Array.isArray(given) ? `${embeddedMetadata.propertyPath}.` : '';
  return names.some((name) => before + name === column.propertyPath);
}

type Index = EntityMetadata['indices'][number];

function refuseUnsuitable(metadata: EntityMetadata, cell: ColumnMetadata, label: string): void {
  const reason = UNSUITABLE.find(([applies]) => applies(metadata, cell))?.[1];
  if (reason === undefined) return;
  throw new ConfigError(
    'ERR_CONFIG_FIELD',
    `${label}: an encrypted field cannot be ${reason}; cells differ at every sealing.`,
  );
}

/** Read by TypeORM from 0.3.26 on. */
function nullBehavior({ options }: DataSource): unknown {
  const { invalidWhereValuesBehavior } = options as {
    readonly invalidWhereValuesBehavior?: { readonly null?: unknown };
  };
  return invalidWhereValuesBehavior?.null;
}

function sibling(
  metadata: EntityMetadata,
  claims: Claims,
  cell: ColumnMetadata,
  nameOf: (property: string) => string,
  label: string,
): ColumnMetadata {
  const path = cell.propertyPath.slice(0, -cell.propertyName.length) + nameOf(cell.propertyName);
  const column = metadata.columns.find((candidate) => candidate.propertyPath === path);
  const isOurs = column?.isVirtual === true || isMaskMark(column?.transformer);
  if (column && isOurs && claims.get(path)?.some((claim) => !claim.isOurs) !== true) return column;
  throw new ConfigError(
    'ERR_CONFIG_FIELD',
    `${label}: expected the property ${path} to be free for the sibling column, got another one of the entity's own. Rename that property.`,
  );
}

function refuseSharedContext(
  contexts: Map<string, string>,
  column: EncryptedColumn,
  declaration: Declaration,
): void {
  const { handle, metadata, cell, label } = column;
  const { acceptPreviously, previously } = declaration.options;
  const own: [string, string][] = [[handle.entity, handle.field]];
  if (acceptPreviously && previously?.context !== undefined) own.push(splitContext(previously.context));
  const place = `${metadata.tablePath}.${cell.databaseName}`;
  for (const [entity, field] of own) {
    const context = JSON.stringify([handle.purpose, entity, field]);
    const other = contexts.get(context);
    if (other !== undefined && other !== place) {
      throw new ConfigError(
        'ERR_CONFIG_DUPLICATE_CONTEXT',
        `${label}: the columns ${other} and ${place} would have the same context ${entity}.${field}, ` +
          'so that cells could be moved between them. Give one of them another `context`.',
      );
    }
    contexts.set(context, place);
  }
}
