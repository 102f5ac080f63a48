/**
 * The members of TypeORM that are reached although its types hide them, each with its reason. Nothing else in this
 * folder casts to reach a hidden member; the self-check at attach proves that they still do what is said here.
 */
import type { PendingIndex } from '../keys/field-seal.js';
import type { EncryptedColumn } from './encrypted-column.js';
import type { TransactionRunner } from './transaction-end.js';
import type {
  DataSource,
  EntityMetadata,
  EntityTarget,
  ObjectLiteral,
  QueryRunner,
  Table,
  UpdateResult,
} from 'typeorm';

export type ColumnMetadata = EntityMetadata['columns'][number];
export type Row = Record<string, unknown>;

/** An alias of a statement. `hasMetadata` is false for a table that no entity maps. */
export interface AliasInternals {
  readonly name: string;
  readonly hasMetadata: boolean;
  /** These two throw where `hasMetadata` is false. */
  readonly target: EntityTarget<ObjectLiteral>;
  readonly metadata: EntityMetadata;
  readonly tablePath?: string;
}

/** What a builder collects before it makes SQL. */
export interface ExpressionMapInternals {
  readonly queryType: string;
  readonly mainAlias?: AliasInternals;
  readonly aliases: readonly AliasInternals[];
  /** True while entities are asked for, false for raw rows and counts. */
  readonly queryEntity: boolean;
  /**
   * SQL that is joined to all criteria by AND, empty otherwise: the ids of a page, in the copy of a select that loads it;
   * the bound values of an UPDATE, while it is sent.
   */
  extraAppendedAndWhereCondition: string;
  readonly selects: readonly { readonly selection: string; readonly aliasName?: string }[];
  /** Values by name. */
  readonly parameters: Readonly<Row>;
  /** Those that the driver knows by name; in 0.3 only. */
  readonly nativeParameters?: Readonly<Row>;
  readonly commonTableExpressions: readonly unknown[];
  readonly wheres: readonly unknown[];
  /** What `set()` or `values()` were given; a function there makes SQL in the place of a value. */
  readonly valuesSet?: unknown;
  readonly havings: readonly unknown[];
  /** Those of the builder, else those of the entity. Throws without a main alias. */
  readonly allOrderBys: Readonly<Row>;
  readonly groupBys: readonly string[];
  readonly selectDistinctOn: readonly string[];
  readonly joinAttributes: readonly { readonly condition?: string }[];
  /** What is loaded behind the rows: ids and counts (in 0.3) of related rows; related entities by statements of their own. */
  readonly relationIdAttributes: readonly unknown[];
  readonly relationCountAttributes?: readonly unknown[];
  readonly relationLoadStrategy?: 'join' | 'query';
  readonly lockMode?: string;
  readonly options: readonly string[];
  /** Whether subscribers and listeners are told. */
  readonly callListeners: boolean;
  readonly insertColumns: readonly string[];
  readonly insertFromSelect?: unknown;
  /** A list of properties grows, while the statement is sent, by those that its cells are opened with. */
  returning?: string | readonly string[];
  readonly extraReturningColumns: readonly ColumnMetadata[];
  /** Whether generated values are merged into the objects that were written. */
  readonly updateEntity: boolean;
  /** INSERT … ON CONFLICT DO NOTHING. */
  readonly onIgnore?: boolean;
  /** What follows ON CONFLICT, as text; in 0.3 only. */
  readonly onConflict?: string;
  readonly whereEntities: readonly Row[];
  /** Replaced while SQL is made, so that an upsert overwrites the siblings together with their cell. */
  onUpdate?: {
    readonly overwrite?: readonly string[];
    readonly conflict?: string | readonly string[];
    /** Conditions in the form that {@link InsertInternals.createWhereClausesExpression} makes text of. */
    readonly overwriteCondition?: readonly unknown[];
    /** SQL that tells which of several indexes is meant. */
    readonly indexPredicate?: string;
    /** Set to parameters of their own names; in 0.3 only. */
    readonly columns?: readonly string[];
    readonly skipUpdateIfNoValuesChanged?: boolean;
  };
}

/** Protected members common to all builders. */
export interface QueryBuilderInternals {
  /** Assigned once, by the constructor or from the builder that this one takes the place of. */
  expressionMap: ExpressionMapInternals;
  /** Set for a builder of a transaction, and while a statement takes two round trips on one connection. */
  queryRunner?: QueryRunner | undefined;
  /** The statement as SQL with named parameters; every execution goes through it. */
  getQuery(): string;
  getQueryAndParameters(): [sql: string, parameters: unknown[]];
  /** Values by name, with those that TypeORM adds by itself. */
  getParameters(): Row;
  /** A name in the quotes of the database. */
  escape(name: string): string;
  /** Property paths and values of a where object; used by `where({…})` of every builder. */
  getPredicates(where: Row): Iterable<readonly [string, unknown]>;
  /** The builder whose brackets this one fills. */
  readonly parentQueryBuilder?: QueryBuilderInternals;
  clone(): this;
  insert(): QueryBuilderInternals;
  update(entityOrSet?: unknown, set?: unknown): QueryBuilderInternals;
  delete(): QueryBuilderInternals;
  softDelete(): QueryBuilderInternals;
  restore(): QueryBuilderInternals;
  select(selection?: unknown, alias?: string): QueryBuilderInternals;
}

export interface SelectSelection {
  readonly selection: string;
  readonly aliasName: string;
  readonly virtual?: boolean;
}

/** Added by our own subclasses. */
export interface Searching {
  /** Notes that rows are searched by the blind index of a column; with the indexes that are still to be made. */
  noteSearch(column: EncryptedColumn, pending: readonly PendingIndex[]): void;
  /** The pending ones, of a column that is searched; undefined for every other. */
  searchedBy(column: EncryptedColumn): readonly PendingIndex[] | undefined;
}

export interface RawAndEntities {
  readonly raw: Row[];
  readonly entities: unknown[];
}

export interface SelectInternals extends QueryBuilderInternals, Searching {
  /** Turns the `where` of find options into SQL, level by level. */
  buildWhere(where: unknown, metadata: EntityMetadata, alias: string, embedPrefix?: string): string;
  /** The selected columns of one alias with the names they have in raw rows. */
  buildEscapedEntityColumnSelects(aliasName: string, metadata: EntityMetadata): SelectSelection[];
  /** The one place where rows come from the driver or the query result cache. */
  loadRawResults(queryRunner: QueryRunner): Promise<Row[]>;
  /** What a page over joins is sorted by, made before its first statement is; that one is made by a builder of TypeORM's own. */
  createOrderByCombinedWithSelectExpression(parentAlias: string): unknown;
  /** Puts column names in the place of property paths. The statement and the entities of its aliases decide the result. */
  replacePropertyNamesForTheWholeQuery(statement: string): string;
  /** Loads rows and makes entities of them. */
  executeEntitiesAndRawResults(queryRunner: QueryRunner): Promise<RawAndEntities>;
  /** All entities come from here, but those of `getManyAndCount`, which shows no raw rows. */
  getRawAndEntities(): Promise<RawAndEntities>;
  getOne(): Promise<unknown>;
  getOneOrFail(): Promise<unknown>;
  getMany(): Promise<unknown[]>;
  select(selection?: unknown, alias?: string): SelectInternals;
  from(target: EntityTarget<ObjectLiteral>, alias: string): this;
}

/** What a query runner gives where a builder asks it for more than rows. */
export interface QueryResultInternals {
  readonly raw: unknown;
  readonly records: Row[];
}

/** What the builders of statements have in common that may return rows and merge them into objects. */
export interface WriteInternals extends QueryBuilderInternals {
  execute(): Promise<{ raw: unknown; readonly generatedMaps: Row[] }>;
  /** The one of this builder or a new one, which the caller releases. */
  obtainQueryRunner(): QueryRunner;
  /** In quotes. */
  getTableName(tablePath: string): string;
  getMainTableName(): string;
}

export interface InsertInternals extends WriteInternals {
  /** The objects given to `values()`; read again and again while SQL is made. */
  getValueSets(): Row[];
  getInsertedColumns(): ColumnMetadata[];
  /** What stands for this value in the SQL. */
  createParameter(value: unknown): string;
  /** Whether generated values are read back, by RETURNING or by a select. */
  updateEntity(enabled: boolean): this;
  /** The name of the table where the database takes one for it. */
  readonly alias: string;
  /** Makes text of conditions; changes nothing. */
  createWhereClausesExpression(clauses: readonly unknown[]): string;
}

export interface UpdateInternals extends WriteInternals {
  execute(): Promise<UpdateResult>;
  /** The object given to `set()`. */
  getValueSet(): Row;
  where(where: unknown, parameters?: unknown): this;
  andWhere(where: unknown, parameters?: unknown): this;
  orWhere(where: unknown, parameters?: unknown): this;
  /** How `save()` names its row: by the primary key, collected through `orWhere`. */
  whereEntity(entity: Row | readonly Row[]): this;
  /** `UPDATE … SET … WHERE …`; replaced to select from the same rows first. */
  createUpdateExpression(): string;
  createWhereExpression(): string;
  /** The name of a new parameter with this value. */
  createParameter(value: unknown): string;
}

/** A builder class as TypeORM constructs it: from a data source, or as a copy of another builder. */
export type BuilderClass<T> = new (source: object, queryRunner?: QueryRunner) => T;

/** Members of a data source that are replaced on the instance. */
export interface DataSourceInternals {
  /** Every statement goes through one of them, those of transactions and migrations too. */
  createQueryRunner(mode?: 'master' | 'slave'): RunnerInternals;
  createQueryBuilder(entityOrRunner?: unknown, alias?: string, queryRunner?: QueryRunner): SelectInternals;
  /** Builds entity metadata during `initialize()`; new metadata each time. */
  buildMetadatas(): Promise<void>;
  createEntityManager(queryRunner?: QueryRunner): EntityManagerInternals;
  readonly manager: EntityManagerInternals;
  readonly subscribers: object[];
}

/** The two ways from a query runner to the driver. Parameters are a list, or an object where the driver takes names. */
export interface RunnerInternals extends TransactionRunner {
  query(sql: string, parameters?: unknown, ...more: unknown[]): Promise<unknown>;
  stream(sql: string, parameters?: unknown, ...more: unknown[]): Promise<unknown>;
}

export interface EntityManagerInternals {
  /** Null where nothing was found. */
  findOne(target: EntityTarget<ObjectLiteral>, options: unknown): Promise<unknown>;
  findOneBy(target: EntityTarget<ObjectLiteral>, where: unknown): Promise<unknown>;
  findOneOrFail(target: EntityTarget<ObjectLiteral>, options: unknown): Promise<unknown>;
  findOneByOrFail(target: EntityTarget<ObjectLiteral>, where: unknown): Promise<unknown>;
  /** Behind sum, average, minimum and maximum. */
  callAggregateFun(
    target: EntityTarget<ObjectLiteral>,
    name: string,
    path: string,
    where?: unknown,
  ): Promise<unknown>;
  update(...args: unknown[]): Promise<unknown>;
  delete(...args: unknown[]): Promise<unknown>;
  softDelete(...args: unknown[]): Promise<unknown>;
  restore(...args: unknown[]): Promise<unknown>;
  /** With or without a target before the entities. */
  save(...args: readonly unknown[]): Promise<unknown>;
}

/** Public, but declared without its members that are replaced on the instance. */
export interface DriverInternals {
  /** Every way to change the schema makes its builder here. */
  createSchemaBuilder(): SchemaBuilderInternals;
}

export interface SchemaBuilderInternals {
  /** Of this build; it has the transaction, and in TypeORM 0.3 the tables that were loaded. */
  readonly queryRunner: QueryRunner & { readonly loadedTables: readonly Table[] };
  /** The tables that were loaded; not in TypeORM 0.3. */
  readonly tables?: readonly Table[];
  readonly entityToSyncMetadatas: readonly EntityMetadata[];
  /** One spelling for tables and entities, so that they can be compared. */
  getTablePath(target: EntityMetadata | Table): string;
  /** All changes, after the tables were loaded; called by `build()` and `log()`. */
  executeSchemaSyncOperationsInProperOrder(): Promise<void>;
}

export interface ColumnInternals {
  /** Public in effect, declared read-only by none of the versions; replaced when a data source is bound. */
  transformer?: unknown;
  /** Of the same kind; whether an UPDATE may set the column, and whether a changed value is a reason for one. */
  isUpdate: boolean;
  /** Of the same kind; an EntitySchema cannot say it. */
  isVirtual: boolean;
  /** Whether a select of the entity takes the column along. */
  isSelect: boolean;
}

/** Of the same kind: computed when metadata is built, the columns from `isVirtual`. */
export interface MetadataInternals {
  nonVirtualColumns: ColumnMetadata[];
  /** Those that the schema builder makes, of parents, children in one table and embedded classes too. */
  indices: EntityMetadata['indices'];
}

export const metadataInternals = (metadata: EntityMetadata): MetadataInternals => metadata;

type IndexMetadata = EntityMetadata['indices'][number];

/** TypeORM does not export the class of index metadata; after it was built, nothing but these members is read. */
export function indexMetadata(
  entityMetadata: EntityMetadata,
  name: string,
  column: ColumnMetadata,
  isUnique: boolean,
): IndexMetadata {
  const index = { entityMetadata, target: entityMetadata.target, name, columns: [column], isUnique };
  return {
    ...index,
    isSpatial: false,
    isFulltext: false,
    isNullFiltered: false,
    synchronize: true,
    columnNamesWithOrderingMap: { [column.databasePath]: 1 },
  } as unknown as IndexMetadata;
}

type CheckMetadata = EntityMetadata['checks'][number];

/** TypeORM does not export the class of check metadata; after it was built, nothing but these members is read. */
export function checkMetadata(
  entityMetadata: EntityMetadata,
  name: string,
  expression: string,
): CheckMetadata {
  const check = { entityMetadata, target: entityMetadata.target, name, expression };
  return check as unknown as CheckMetadata;
}

export const internalsOf = (dataSource: DataSource): DataSourceInternals =>
  dataSource as unknown as DataSourceInternals;

export const driverInternals = ({ driver }: DataSource): DriverInternals =>
  driver as unknown as DriverInternals;

export const loadedTables = ({ tables, queryRunner }: SchemaBuilderInternals): readonly Table[] =>
  tables ?? queryRunner.loadedTables;

export const columnInternals = (column: ColumnMetadata): ColumnInternals => column;

/** How a select names a plain column; TypeORM 1.x has a method for it, 0.3 none. */
export const selectionOf = (builder: SelectInternals, alias: string, column: ColumnMetadata): string =>
  `${builder.escape(alias)}.${builder.escape(column.databaseName)}`;

/**
 * Puts `around` around one method of this one instance, and around whatever is put in its place later: libraries that
 * carry transactions along assign methods of their own, before a data source is attached or after.
 *
 * @param around Called again with each such method. One that calls the method it replaced calls what `around` made of
 *   that, so what has been done to a result must be recognised.
 */
export function surround<T extends object, K extends keyof T>(
  instance: T,
  name: K,
  around: (inner: T[K]) => T[K],
): void {
  const bound = (method: T[K]): T[K] => (method as { bind(self: T): T[K] }).bind(instance);
  let current = around(bound(instance[name]));
  Object.defineProperty(instance, name, {
    get: () => current,
    set: (replacement: T[K]) => {
      current = around(bound(replacement));
    },
    configurable: true,
  });
}

/** Replaces one method of this one instance. */
export function override<T extends object, K extends keyof T>(instance: T, name: K, method: T[K]): void {
  Object.defineProperty(instance, name, { value: method, writable: true, configurable: true });
}
