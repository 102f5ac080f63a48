/** `attachFieldSeal`: turns a DataSource into one that seals and opens the encrypted fields of its entities. */
import { InstanceChecker, type DataSource } from 'typeorm';
import { ConfigError } from '../errors.js';
import { isFieldSeal, type FieldSealPages } from '../keys/field-seal.js';
import {
  describeValue,
  flag,
  listOf,
  optionError,
  parseOptions,
  text,
  withDefault,
} from '../keys/options.js';
import { noteActiveRecord } from './active-record.js';
import { familyOf, refuseLateAttach, withTypesOf } from './column-types.js';
import { addChecks } from './check-constraints.js';
import { bindColumns, type ColumnsOf } from './encrypted-column.js';
import { sealingManagers } from './entity-manager.js';
import { makeFallback } from './fallback-subscriber.js';
import {
  columnInternals,
  internalsOf,
  override,
  surround,
  type EntityManagerInternals,
} from './internals.js';
import { makeOpener, ON_UNOPENABLE, type OnUnopenable } from './opener.js';
import { makeBuilders, sealingSelects } from './query-builders.js';
import { guardQueryRunners } from './query-runners.js';
import { guardSchema } from './schema-guard.js';
import { refuseSqlOverCells } from './schema-sql.js';
import { selfCheck } from './self-check.js';
import { guardStoredValues } from './stored-values.js';
import { ColumnTransformer } from './transformer.js';
import { refuseUnknownParents } from './unknown-parents.js';
import { refuseViewsOfCells } from './views.js';

export interface AttachOptions {
  /**
   * What a read does with a cell that cannot be opened: key gone, suspended or out of reach; changed in the database.
   * `'throw'` fails the read with the error of the first such cell. `'sealed'` puts a `Sealed` value in its property and
   * opens the others; saving that entity leaves the cell as it is. Default `'throw'`. Under a write-only field seal
   * every value stays sealed.
   */
  readonly onUnopenable?: OnUnopenable;
  /**
   * For a database role that may only INSERT into tables with encrypted columns: their inserts read nothing back, so ids
   * and defaults that the database makes are not set on the objects. `insert()` works, and `save()` of an entity without
   * an id, once: without its id a second `save()` inserts it again. Everything else is refused for these entities.
   * Default false.
   */
  readonly insertOnly?: boolean;
  /**
   * Whether selects of an entity take its cells along. `false` is for roles without SELECT on cells: encrypted properties
   * stay undefined unless a select names them, and `save()` writes every encrypted property that is set, changed or not.
   * Default true.
   */
  readonly selectCells?: boolean;
  /**
   * Read the text of statements, and refuse those in which the database would compute with cells or compare them:
   * `where('card.pan = :pan')`, `select('MAX(card.pan)')`, `orderBy('LOWER(card.pan)')`, DISTINCT, sub-queries. `false` is for
   * statements that are refused although they are right. What needs no reading is refused either way: where objects, `sum` and
   * its like, an order or a group that is a property. Default true; each different statement is read once, in some
   * 50 µs. SQL in entities is read with it, when they are loaded: `@Check`, `@Exclusion`, the `where` of `@Index`, generated
   * and virtual columns. Views are read either way.
   */
  readonly checkRawWhere?: boolean;
  /**
   * Columns whose values a schema change may throw away, each as `'table.column'`, with the schema before it where the
   * entity names one: for `synchronize` and `migration:generate`, which are refused otherwise where plaintext stands in the
   * place of an encrypted field, or cells would go. Default none.
   */
  readonly discardColumns?: readonly string[];
}

const OPTIONS = {
  checkRawWhere: withDefault(flag(), true),
  onUnopenable: withDefault(ON_UNOPENABLE, 'throw'),
  insertOnly: withDefault(flag(), false),
  selectCells: withDefault(flag(), true),
  discardColumns: withDefault(listOf(text()), []),
};

/** An attached data source: what `openRaw` needs of it. */
export interface Attachment {
  readonly seal: FieldSealPages;
  readonly onUnopenable: OnUnopenable;
  readonly columnsOf: ColumnsOf;
}

// Two copies of the package must see each other's attachments.
const registry = Symbol.for('fieldseal/attachments');

/**
 * The same DataSource, sealing and opening the `@Encrypted` fields of its entities from now on. Call it before
 * `initialize()`, which settles the types of the columns; PostgreSQL may also be attached later. Other DataSources over
 * the same classes are not touched; on one that is not attached, encrypted fields refuse every value.
 *
 * @param seal A field seal; `'schema-only'` for migrations, which then need no KMS: columns and indexes are the same,
 *   and every attempt to write or read an encrypted field is refused.
 * @throws ConfigError `ERR_CONFIG_OPTION`, `ERR_CONFIG_ORM` (a database that is not supported, attached twice or too late,
 *   an unknown TypeORM), and with the entity metadata `ERR_CONFIG_FIELD`, `ERR_CONFIG_PURPOSE_UNKNOWN`, `ERR_CONFIG_DUPLICATE_CONTEXT`: at once when the
 *   DataSource is initialized, else from `initialize()`.
 */
export function attachFieldSeal<T extends DataSource>(
  dataSource: T,
  seal: FieldSealPages | 'schema-only',
  options: AttachOptions = {},
): T {
  const parsed = parseOptions(OPTIONS, options, 'attachFieldSeal');
  refuseUnsuitable(dataSource);
  if (seal !== 'schema-only' && !isFieldSeal(seal)) {
    throw optionError(
      'attachFieldSeal',
      "a field seal (await createFieldSeal(…)) or 'schema-only'",
      describeValue(seal),
    );
  }
  let columnsOf: ColumnsOf = () => [];
  const resolve: ColumnsOf = (metadata) => columnsOf(metadata);
  const bind = (fields: Pick<FieldSealPages, 'column'>): void => {
    columnsOf = bindColumns(dataSource, fields);
    const tables = refuseViewsOfCells(dataSource, columnsOf);
    if (parsed.checkRawWhere) refuseSqlOverCells(dataSource, tables);
    addChecks(dataSource, columnsOf);
  };
  guardSchema(dataSource, resolve, parsed.discardColumns);
  if (seal === 'schema-only') {
    whenMetadataIsBuilt(dataSource, () => bind(schemaOnly));
    return dataSource;
  }
  const { onUnopenable } = parsed;
  attachments().set(dataSource, { seal, onUnopenable, columnsOf: resolve });

  const internals = internalsOf(dataSource);
  const createQueryBuilder = internals.createQueryBuilder.bind(dataSource);
  const open = makeOpener(seal, onUnopenable);
  const context = {
    dataSource,
    plainBuilder: () => createQueryBuilder(),
    seal,
    open,
    columnsOf: resolve,
    ...parsed,
  };
  const builders = makeBuilders(context);
  let hasPendingIndexes = false;
  guardQueryRunners(internals, () => hasPendingIndexes);
  guardStoredValues(dataSource);
  const { subscriber, openLater } = makeFallback(dataSource, seal, open, resolve);

  const makeSealing = sealingManagers(dataSource, internals.manager, resolve);
  const guard = (manager: EntityManagerInternals): void => {
    makeSealing(manager);
    if (parsed.insertOnly) refuseUnknownParents(dataSource, manager, resolve);
  };

  whenMetadataIsBuilt(dataSource, () => {
    bind(seal);
    hasPendingIndexes = dataSource.entityMetadatas.some((metadata) =>
      columnsOf(metadata).some(({ handle }) => handle.hasPendingIndexes),
    );
    for (const metadata of dataSource.entityMetadatas) {
      for (const column of columnsOf(metadata)) {
        const cell = columnInternals(column.cell);
        cell.transformer = new ColumnTransformer(column, openLater);
        if (!parsed.selectCells) cell.isSelect = false;
        if (column.mask) columnInternals(column.mask).transformer = undefined;
      }
    }
    selfCheck(context);
    noteActiveRecord(
      seal,
      dataSource.entityMetadatas.filter((metadata) => columnsOf(metadata).length > 0),
    );
    internals.subscribers.push(subscriber);
  });
  surround(internals, 'createQueryBuilder', (inner) => sealingSelects(dataSource, builders, inner));
  surround(internals, 'createEntityManager', (inner) => (...args) => {
    const manager = inner(...args);
    guard(manager);
    return manager;
  });
  guard(internals.manager);
  return dataSource;
}

/**
 * @throws ConfigError `ERR_CONFIG_ORM` for a DataSource that is not attached.
 */
export function attachmentOf(dataSource: DataSource): Attachment {
  const attachment = attachments().get(dataSource);
  if (attachment) return attachment;
  throw new ConfigError(
    'ERR_CONFIG_ORM',
    'This DataSource is not attached. Call attachFieldSeal(dataSource, seal) first.',
  );
}

/** The field seal that a DataSource is attached to; undefined for one that is not attached. */
export function sealOf(dataSource: DataSource): FieldSealPages | undefined {
  return attachments().get(dataSource)?.seal;
}

function attachments(): WeakMap<DataSource, Attachment> {
  const shared = globalThis as { [registry]?: WeakMap<DataSource, Attachment> | undefined };
  return (shared[registry] ??= new WeakMap<DataSource, Attachment>());
}

function refuseUnsuitable(dataSource: DataSource): void {
  const { options } = Object(dataSource) as { readonly options?: unknown };
  const { type } = Object(options) as { readonly type?: unknown };
  if (typeof type === 'string') familyOf(dataSource);
  if (!InstanceChecker.isDataSource(dataSource)) {
    throw optionError('attachFieldSeal', 'a DataSource of TypeORM', describeValue(dataSource));
  }
  if (attachments().has(dataSource)) {
    throw new ConfigError(
      'ERR_CONFIG_ORM',
      'This DataSource is attached already. Attach each DataSource once.',
    );
  }
  refuseLateAttach(dataSource);
}

/** Now, if the metadata is there, and again after every `initialize()`, which builds it anew. */
function whenMetadataIsBuilt(dataSource: DataSource, bind: () => void): void {
  const internals = internalsOf(dataSource);
  const buildMetadatas = internals.buildMetadatas.bind(dataSource);
  override(internals, 'buildMetadatas', async (...args) => {
    await withTypesOf(dataSource, () => buildMetadatas(...args));
    bind();
  });
  if (dataSource.isInitialized) bind();
}

/** Declares columns to nobody: checks that need no key are still made. */
export const schemaOnly: Pick<FieldSealPages, 'column'> = { column: (declaration) => declaration };
