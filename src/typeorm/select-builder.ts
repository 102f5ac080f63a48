/** SELECT: where objects of find options, and pages of raw rows opened before hydration. */
import type { DataSource, EntityMetadata, QueryRunner } from 'typeorm';
import { isPendingIndex, type PendingIndex } from '../keys/field-seal.js';
import { whenReady, type Ready } from '../keys/ready.js';
import type { EncryptedColumn } from './encrypted-column.js';
import {
  selectionOf,
  type AliasInternals,
  type BuilderClass,
  type ColumnMetadata,
  type RawAndEntities,
  type Row,
  type SelectInternals,
  type SelectSelection,
} from './internals.js';
import { KeptSql } from './kept-sql.js';
import { foundOrFail } from './not-found.js';
import { madeIn } from './pending-indexes.js';
import { openPage, putCellsBack, type PageColumn } from './page.js';
import { mainMetadata, type BuilderContext } from './query-builders.js';
import { refuseOrder } from './raw-use.js';
import { rawNameIn, rawNames } from './raw-names.js';
import { RowEntities, type RowPlan } from './row-entities.js';
import { rewriteWhere } from './where.js';

/** What a statement selects of an alias with encrypted columns. */
interface SelectedAlias {
  readonly alias: string;
  readonly columns: readonly EncryptedColumn[];
  /** Those that rows are searched by. */
  readonly searched: readonly EncryptedColumn[];
  readonly selects: readonly SelectSelection[];
}

export function selectBuilder(
  context: BuilderContext,
  Plain: BuilderClass<SelectInternals>,
): BuilderClass<SelectInternals> {
  const { dataSource, seal, open, columnsOf } = context;
  const nameIn = rawNameIn(dataSource.driver.maxAliasLength ?? 0);
  const namesOf = rawNames(nameIn);
  const rowEntities = new RowEntities(dataSource, nameIn);
  const kept = new KeptSql(dataSource);

  return class FieldSealSelectQueryBuilder extends Plain {
    /** Set and filled while the SQL of a load is made. */
    #selected: SelectedAlias[] | undefined;
    #dropsRaw = false;

    override buildWhere(...[where, ...more]: Parameters<SelectInternals['buildWhere']>): string {
      const [metadata, , embedPrefix] = more;
      const isObject = typeof where === 'object' && where !== null && !Array.isArray(where);
      const prefix = embedPrefix ? `${embedPrefix}.` : '';
      const rewritten = isObject
        ? rewriteWhere({ seal, columnsOf, builder: this }, metadata, where as Row, prefix)
        : where;
      return super.buildWhere(rewritten, ...more);
    }

    /**
     * A bound cell opens only together with the values it is bound to, and what a search by blind index found is
     * compared with the index it was found by: a select of the cell takes those columns along.
     */
    override buildEscapedEntityColumnSelects(aliasName: string, metadata: EntityMetadata): SelectSelection[] {
      const encrypted = columnsOf(metadata);
      const make = (): SelectSelection[] => super.buildEscapedEntityColumnSelects(aliasName, metadata);
      if (encrypted.length === 0) return make();
      const selects = kept.selectsOf(this.expressionMap, aliasName, metadata, make);
      const searched = encrypted.filter((column) => this.searchedBy(column));
      this.#selected?.push({ alias: aliasName, columns: encrypted, searched, selects });
      const columns = encrypted.filter((column) => isBoundAtAll(column) || searched.includes(column));
      if (columns.length === 0) return selects;
      const selected = new Set(selects.map(({ selection }) => selection));
      const expression = (column: ColumnMetadata) => selectionOf(this, aliasName, column);
      const needed = columns
        .filter(({ cell }) => selected.has(expression(cell)))
        .flatMap((column) => [
          ...[...column.bound, ...column.previouslyBound].map((bound) => bound.column),
          ...this.#indexIfSearched(column),
        ]);
      for (const selection of new Set(needed.map(expression))) {
        if (!selected.has(selection))
          selects.push({ selection, aliasName: this.#takenAlong(aliasName, selects), virtual: true });
      }
      return selects;
    }

    override createOrderByCombinedWithSelectExpression(parentAlias: string): unknown {
      const keys = Object.keys(this.expressionMap.allOrderBys);
      refuseOrder(context, this.expressionMap);
      // What is no property may stand for a cell in the statement as a whole.
      if (!keys.every((key) => key.includes('.'))) this.getQuery();
      return super.createOrderByCombinedWithSelectExpression(parentAlias);
    }

    override replacePropertyNamesForTheWholeQuery(statement: string): string {
      const make = (): string => super.replacePropertyNamesForTheWholeQuery(statement);
      return this.#isEncrypted() ? kept.withColumnNames(this.expressionMap, statement, make) : make();
    }

    override executeEntitiesAndRawResults(queryRunner: QueryRunner): Promise<RawAndEntities> {
      // A page over joins is looked up by a builder of TypeORM's own, with the parameters of this one.
      const pending = dataSource.queryResultCache ? this.#unmade() : [];
      return pending.length === 0
        ? this.#execute(queryRunner)
        : madeIn(pending).then(() => this.#execute(queryRunner));
    }

    #execute(queryRunner: QueryRunner): Promise<RawAndEntities> {
      const plan = this.#isEncrypted() ? rowEntities.planOf(this.expressionMap) : undefined;
      return plan === undefined
        ? super.executeEntitiesAndRawResults(queryRunner)
        : this.#makeEntities(plan, queryRunner);
    }

    async #makeEntities(plan: RowPlan, queryRunner: QueryRunner): Promise<RawAndEntities> {
      const raw = await this.loadRawResults(queryRunner);
      const entities = rowEntities.hydrate(plan, raw, this.queryRunner);
      if (raw.length > 0 && this.expressionMap.callListeners && isHeard(dataSource, plan.metadata))
        await queryRunner.broadcaster.broadcast('Load', plan.metadata, entities);
      return { raw, entities };
    }

    override loadRawResults(queryRunner: QueryRunner): Promise<Row[]> {
      // Raw results and counts are asked for as the database has them. Pagination over joins loads the rows of its page
      // by a copy that is not said to load entities, and is the only one with ids appended.
      const { queryEntity, extraAppendedAndWhereCondition: pageIds } = this.expressionMap;
      // The builder may be changed, or asked for a count, while its rows are on the way.
      const selected: SelectedAlias[] = [];
      const keepCells = !this.#dropsRaw;
      return this.#loadCells(queryRunner, selected, (rows) =>
        queryEntity || pageIds ? this.#openRows(rows, selected, keepCells) : rows,
      );
    }

    /**
     * Makes the SQL before it waits. TypeORM makes a key for the query result cache of every statement, even where there
     * is no such cache.
     */
    #loadCells(
      queryRunner: QueryRunner,
      selected: SelectedAlias[],
      next: (rows: Row[]) => Ready<Row[]>,
    ): Promise<Row[]> {
      if (dataSource.queryResultCache) return this.#loadCached(queryRunner, selected).then(next);
      const [sql, parameters] = this.#noting(selected, () => this.getQueryAndParameters());
      return queryRunner.query(sql, parameters, true).then(({ records }) => next(records as Row[]));
    }

    /** The cache knows a statement by its parameters as JSON, in which indexes have to stand that are made. */
    #loadCached(queryRunner: QueryRunner, selected: SelectedAlias[]): Promise<Row[]> {
      const load = () => this.#noting(selected, () => super.loadRawResults(queryRunner));
      const pending = this.#unmade();
      return pending.length === 0 ? load() : madeIn(pending).then(load);
    }

    #unmade(): readonly PendingIndex[] {
      const { parameters } = this.expressionMap;
      return Object.values(parameters)
        .filter(isPendingIndex)
        .filter(({ bytes }) => bytes === undefined);
    }

    /** Notes in `selected` what the SQL selects that is made meanwhile. */
    #noting<T>(selected: SelectedAlias[], makeSql: () => T): T {
      this.#selected = selected;
      try {
        return makeSql();
      } finally {
        this.#selected = undefined;
      }
    }

    #openRows(rows: Row[], selected: readonly SelectedAlias[], keepCells: boolean): Ready<Row[]> {
      const [first] = rows;
      const columns = first ? this.#pageColumns(first, selected) : [];
      return columns.length === 0
        ? rows
        : whenReady(openPage(open, seal, columns, rows, keepCells), () => rows);
    }

    override getRawAndEntities(): ReturnType<SelectInternals['getRawAndEntities']> {
      const results = super.getRawAndEntities();
      return this.#dropsRaw ? results : results.then((all) => this.#withCells(all));
    }

    override getOne(): Promise<unknown> {
      return this.#withoutRaw(() => super.getOne());
    }

    override getMany(): Promise<unknown[]> {
      return this.#withoutRaw(() => super.getMany());
    }

    /** TypeORM's methods for entities alone ask {@link getRawAndEntities} at once, and let the raw rows go. */
    #withoutRaw<T>(get: () => T): T {
      this.#dropsRaw = true;
      try {
        return get();
      } finally {
        this.#dropsRaw = false;
      }
    }

    #withCells(results: RawAndEntities): RawAndEntities {
      const [first] = results.raw;
      if (first) putCellsBack(this.#cellNames(first), results.raw);
      return results;
    }

    override async getOneOrFail(): Promise<unknown> {
      const { aliases, mainAlias } = this.expressionMap;
      const isEncrypted = ({ hasMetadata, metadata }: AliasInternals): boolean =>
        hasMetadata && columnsOf(metadata).length > 0;
      if (!aliases.some(isEncrypted)) return super.getOneOrFail();
      return foundOrFail(await this.getOne(), mainAlias!.target);
    }

    /** The encrypted columns in the rows, with the names that TypeORM gave them there. */
    #pageColumns(row: Row, selected: readonly SelectedAlias[]): PageColumn[] {
      const found: PageColumn[] = [];
      for (const { alias, columns, searched, selects } of selected) {
        const rawNameOf = (column: ColumnMetadata) => {
          const selection = selectionOf(this, alias, column);
          return selects.find((select) => select.selection === selection)?.aliasName;
        };
        for (const { column, cell, key } of namesOf(alias, columns)) {
          const rawName = cell ?? rawNameOf(column.cell);
          if (rawName === undefined || row[rawName] === undefined) continue;
          const keyName = key ?? rawNameOf(column.key);
          const searchedBy = searched.includes(column) ? this.searchedBy(column) : undefined;
          found.push({ column, rawName, keyName, rawNameOf, searchedBy });
        }
      }
      return found;
    }

    /** Names that cells may have in the rows, which a copy of this builder may have loaded. */
    #cellNames(row: Row): readonly string[] {
      const names: string[] = [];
      for (const { name, hasMetadata, metadata } of this.expressionMap.aliases) {
        const columns = hasMetadata ? columnsOf(metadata) : [];
        if (columns.length === 0) continue;
        for (const { cell } of namesOf(name, columns)) {
          if (cell === undefined) return Object.keys(row);
          names.push(cell);
        }
      }
      return names;
    }

    #isEncrypted(): boolean {
      const metadata = mainMetadata(this);
      return metadata !== undefined && columnsOf(metadata).length > 0;
    }

    #indexIfSearched(column: EncryptedColumn): ColumnMetadata[] {
      return column.index && this.searchedBy(column) ? [column.index] : [];
    }

    /** A name of its own for a column that hydration must not see; short, since databases cut long ones. */
    #takenAlong(aliasName: string, selects: readonly unknown[]): string {
      const alias = this.expressionMap.aliases.findIndex(({ name }) => name === aliasName);
      return `fieldseal_${alias}_${selects.length}`;
    }
  };
}

/** Whether a load is told to anybody, the entities of its relations included; TypeORM asks after two promises. */
const isHeard = ({ subscribers }: DataSource, { relations, afterLoadListeners }: EntityMetadata): boolean =>
  relations.length + afterLoadListeners.length > 0 ||
  subscribers.some((subscriber) => subscriber.afterLoad !== undefined);

const isBoundAtAll = ({ bound, previouslyBound }: EncryptedColumn): boolean =>
  bound.length > 0 || previouslyBound.length > 0;
