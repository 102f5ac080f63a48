/** SELECT: where objects of find options, and pages of raw rows opened before hydration. */
import type { EntityMetadata, QueryRunner } from 'typeorm';
import type { EncryptedColumn } from './encrypted-column.js';
import {
  selectionOf,
  type BuilderClass,
  type ColumnMetadata,
  type Row,
  type SelectInternals,
  type SelectSelection,
} from './internals.js';
import { withoutCriteria } from './not-found.js';
import { openPage, pageColumns, putCellsBack, type OpenedPage, type PageColumn } from './page.js';
import type { BuilderContext } from './query-builders.js';
import { rewriteWhere } from './where.js';

export function selectBuilder(
  context: BuilderContext,
  Plain: BuilderClass<SelectInternals>,
): BuilderClass<SelectInternals> {
  const { seal, open, columnsOf } = context;
  // Pagination loads rows through a copy of the builder and hydrates them in the original; the rows are what they share.
  const opened = new WeakMap<readonly Row[], OpenedPage>();

  return class FieldSealSelectQueryBuilder extends Plain {
    /** What the SQL that was made last selects of each alias. */
    #selects: Map<string, readonly SelectSelection[]> | undefined;

    override buildWhere(
      where: unknown,
      metadata: EntityMetadata,
      alias: string,
      embedPrefix?: string,
    ): string {
      const isObject = typeof where === 'object' && where !== null && !Array.isArray(where);
      const prefix = embedPrefix ? `${embedPrefix}.` : '';
      const rewritten = isObject
        ? rewriteWhere({ seal, columnsOf, builder: this }, metadata, where as Row, prefix)
        : where;
      return super.buildWhere(rewritten, metadata, alias, embedPrefix);
    }

    /**
     * A bound cell opens only together with the values it is bound to, and what a search by blind index found is
     * compared with the index it was found by: a select of the cell takes those columns along.
     */
    override buildEscapedEntityColumnSelects(aliasName: string, metadata: EntityMetadata): SelectSelection[] {
      const selects = super.buildEscapedEntityColumnSelects(aliasName, metadata);
      const encrypted = columnsOf(metadata);
      if (encrypted.length === 0) return selects;
      this.#selects ??= new Map();
      this.#selects.set(aliasName, selects);
      const columns = encrypted.filter((column) => isBoundAtAll(column) || this.isSearched(column));
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

    override async loadRawResults(queryRunner: QueryRunner): Promise<Row[]> {
      const rows = await super.loadRawResults(queryRunner);
      // Raw results and counts are asked for as the database has them. Pagination over joins loads the rows of its page
      // by a copy that is not said to load entities, and is the only one with ids appended.
      const { queryEntity, extraAppendedAndWhereCondition: pageIds } = this.expressionMap;
      if ((!queryEntity && !pageIds) || rows.length === 0) return rows;
      const columns = this.#pageColumns(rows[0]!);
      if (columns.length === 0) return rows;
      const page = openPage(open, seal, columns, rows);
      opened.set(rows, page instanceof Promise ? await page : page);
      return rows;
    }

    override async executeEntitiesAndRawResults(
      queryRunner: QueryRunner,
    ): ReturnType<SelectInternals['executeEntitiesAndRawResults']> {
      const results = await super.executeEntitiesAndRawResults(queryRunner);
      const page = opened.get(results.raw);
      if (page) putCellsBack(page, results.raw);
      return results;
    }

    override getOneOrFail(): Promise<unknown> {
      return withoutCriteria(super.getOneOrFail());
    }

    /** The encrypted columns in the rows, with the names that TypeORM gave them there. */
    #pageColumns(row: Row): PageColumn[] {
      const found: PageColumn[] = [];
      for (const { name, hasMetadata, metadata } of this.expressionMap.aliases) {
        const selects = hasMetadata ? this.#selects?.get(name) : undefined;
        if (selects === undefined) continue;
        const rawNameOf = (column: ColumnMetadata) => {
          const selection = selectionOf(this, name, column);
          return selects.find((select) => select.selection === selection)?.aliasName;
        };
        found.push(...pageColumns(columnsOf(metadata), rawNameOf, row, this));
      }
      return found;
    }

    #indexIfSearched(column: EncryptedColumn): ColumnMetadata[] {
      return column.index && this.isSearched(column) ? [column.index] : [];
    }

    /** A name of its own for a column that hydration must not see; short, since databases cut long ones. */
    #takenAlong(aliasName: string, selects: readonly unknown[]): string {
      const alias = this.expressionMap.aliases.findIndex(({ name }) => name === aliasName);
      return `fieldseal_${alias}_${selects.length}`;
    }
  };
}

const isBoundAtAll = ({ bound, previouslyBound }: EncryptedColumn): boolean =>
  bound.length > 0 || previouslyBound.length > 0;
