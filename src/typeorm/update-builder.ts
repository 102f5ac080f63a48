/** UPDATE: one sealing for the values of `.set()`, bound to what the statement says about its row. */
import type { UpdateResult } from 'typeorm';
import type { PreparedKeys } from '../keys/field-seal.js';
import { refuseBareTable } from './bare-table.js';
import { deriveRows, isHeardBefore, valuesToPrepare } from './derived-rows.js';
import type { EncryptedColumn } from './encrypted-column.js';
import type { BuilderClass, ColumnMetadata, Row, UpdateInternals } from './internals.js';
import { writingMasks } from './mask-column.js';
import { holdCell, inTransaction, lockOf, sharedValues } from './matched-rows.js';
import { mainMetadata, type BuilderContext } from './query-builders.js';
import { pinnedValues } from './pinned-values.js';
import { withReturnedCells } from './returned-cells.js';
import { isSealed, type Sealed } from './sealed.js';
import { showMasks } from './shown-masks.js';
import { inSameTransaction } from './transaction-end.js';
import {
  boundOf,
  notPrepared,
  nothingWritten,
  refuseUnsafeSet,
  setIn,
  without,
  withoutUnset,
} from './update-set.js';

type WhereArgs = Parameters<UpdateInternals['where']>;

export function updateBuilder(
  context: BuilderContext,
  Plain: BuilderClass<UpdateInternals>,
): BuilderClass<UpdateInternals> {
  const { dataSource, seal, columnsOf } = context;

  return class FieldSealUpdateQueryBuilder extends Plain {
    #derived: Row | undefined;
    /** The set of the SQL that was made last. */
    #written: Row = {};
    /** Set while the statement is executed. */
    #prepared: PreparedKeys | undefined;
    /** What plain equality in the criteria says about every matched row; undefined once there may be alternatives. */
    #criteria: Row | undefined = this.expressionMap.wheres.length === 0 ? {} : undefined;
    /** Set while the matched rows are read before the update. */
    #reading: readonly ColumnMetadata[] | undefined;
    /** What the matched rows said, while the update that follows is sent. */
    #read: Row | undefined;
    /** The set without sealed values that their rows hold already. */
    #changes: Row | undefined;

    override async execute(): Promise<UpdateResult> {
      const columns = this.#columns();
      if (columns.length === 0) return super.execute();
      const unknown = this.#unknownBound(columns);
      const sealed = this.#sealedBySave(columns);
      const assertSame = inSameTransaction(this.queryRunner);
      if (unknown.length === 0 && sealed.length === 0) return this.#write(columns, assertSame);
      return inTransaction(this, () => this.#writeAfterReading(columns, unknown, sealed, assertSame));
    }

    async #writeAfterReading(
      columns: readonly EncryptedColumn[],
      unknown: readonly ColumnMetadata[],
      sealed: readonly EncryptedColumn[],
      assertSame: () => void,
    ): Promise<UpdateResult> {
      const rows = await this.#readMatched([...unknown, ...sealed.map(({ cell }) => cell)]);
      if (rows.length === 0) return nothingWritten();
      try {
        this.#changes = this.#withoutHeld(sealed, rows);
        if (Object.keys(this.#changes).length === 0) return nothingWritten();
        this.#read = sharedValues(dataSource, setIn(columns, this.#changes), unknown, rows);
        this.expressionMap.extraAppendedAndWhereCondition = this.#sameAs(unknown, rows[0]!);
        return await this.#write(columns, assertSame);
      } finally {
        this.expressionMap.extraAppendedAndWhereCondition = '';
        this.#changes = this.#read = undefined;
      }
    }

    /** @param assertSame Whether the statement may still be sent, after everything that it waits for. */
    async #write(columns: readonly EncryptedColumn[], assertSame: () => void): Promise<UpdateResult> {
      const set = this.#set();
      const { beforeUpdateListeners } = columns[0]!.metadata;
      const late = isHeardBefore(dataSource, this.expressionMap, beforeUpdateListeners, 'beforeUpdate');
      this.#prepared = await seal.prepare(valuesToPrepare(columns, [set], late));
      try {
        assertSame();
        return await this.#send(columns, set);
      } finally {
        this.#prepared.close();
        this.#prepared = undefined;
      }
    }

    async #send(columns: readonly EncryptedColumn[], set: Row): Promise<UpdateResult> {
      const write = () => super.execute();
      const { whereEntities, updateEntity } = this.expressionMap;
      const statement = { columns, objects: whereEntities, written: () => [[this.#written, set] as const] };
      const result = await withReturnedCells(context, this, statement, write);
      if (whereEntities.length === 0 || result.affected === 0) return result;
      const stored = columns.filter(({ cell }) => cell.getEntityValue(set) !== undefined);
      const written = whereEntities.map(() => this.#written);
      showMasks(stored, written, result.generatedMaps, updateEntity ? whereEntities : []);
      return result;
    }

    override getQuery(): string {
      const columns = this.#columns();
      if (columns.length === 0) {
        refuseBareTable(context, this);
        return super.getQuery();
      }
      if (this.#reading) return super.getQuery() + lockOf(dataSource);
      try {
        this.#written = this.#derived = this.#derive(columns);
        return writingMasks(columns, () => super.getQuery());
      } finally {
        this.#derived = undefined;
      }
    }

    override createUpdateExpression(): string {
      if (!this.#reading) return super.createUpdateExpression();
      const names = this.#reading.map(({ databaseName }) => this.escape(databaseName));
      return `SELECT ${names.join(', ')} FROM ${this.getTableName(this.getMainTableName())}${this.createWhereExpression()}`;
    }

    override getValueSet(): Row {
      return this.#derived ?? super.getValueSet();
    }

    override where(...args: WhereArgs): this {
      this.#criteria = this.#pinned(args[0]);
      return super.where(...args);
    }

    override andWhere(...args: WhereArgs): this {
      const pinned = this.#pinned(args[0]);
      this.#criteria = this.#criteria && pinned && { ...this.#criteria, ...pinned };
      return super.andWhere(...args);
    }

    override orWhere(...args: WhereArgs): this {
      this.#criteria = undefined;
      return super.orWhere(...args);
    }

    /** `save()` names its row by the identifier of the one that it loaded, so that is exact. */
    override whereEntity(entity: Row | readonly Row[]): this {
      super.whereEntity(entity);
      const [only, ...others] = Array.isArray(entity) ? (entity as readonly Row[]) : [entity as Row];
      this.#criteria = others.length === 0 ? mainMetadata(this)?.getEntityIdMap(only) : undefined;
      return this;
    }

    #columns(): readonly EncryptedColumn[] {
      const metadata = mainMetadata(this);
      return metadata ? columnsOf(metadata) : [];
    }

    #pinned(where: unknown): Row | undefined {
      return pinnedValues(this.#columns(), where);
    }

    #set(): Row {
      return this.#changes ?? super.getValueSet();
    }

    /** What is known about every matched row without asking the database again. */
    #known(): Row {
      return this.#read ?? this.#criteria ?? {};
    }

    /** Bound columns to read first: those that the set does not tell, unless the criteria tell all of them. */
    #unknownBound(columns: readonly EncryptedColumn[]): ColumnMetadata[] {
      const [set, known] = [this.#set(), this.#known()];
      const needed = setIn(columns, set).flatMap(({ bound }) => bound.map(({ column }) => column));
      const untold = [...new Set(needed)].filter((column) => column.getEntityValue(set) === undefined);
      return untold.some((column) => column.getEntityValue(known) === undefined) ? untold : [];
    }

    /** Columns that `save()` takes for changed: its row was out of reach when it was loaded, and now it is not. */
    #sealedBySave(columns: readonly EncryptedColumn[]): EncryptedColumn[] {
      if (this.expressionMap.whereEntities.length === 0) return [];
      const set = this.#set();
      return columns.filter(({ cell }) => isSealed(cell.getEntityValue(set)));
    }

    /** A sealed value whose cell stands in the row is unchanged; every other one is refused when it is written. */
    #withoutHeld(sealed: readonly EncryptedColumn[], rows: readonly Row[]): Row {
      const set = super.getValueSet();
      return sealed
        .filter((column) => holdCell(rows, column, column.cell.getEntityValue(set) as Sealed))
        .reduce((rest, { cell }) => without(rest, cell.propertyPath.split('.')), set);
    }

    async #readMatched(columns: readonly ColumnMetadata[]): Promise<readonly Row[]> {
      this.#reading = columns;
      try {
        const [sql, parameters] = this.getQueryAndParameters();
        return (await this.obtainQueryRunner().query(sql, parameters)) as Row[];
      } finally {
        this.#reading = undefined;
      }
    }

    /** Keeps out of the update what came to match since it was read: its cells would be bound to these values. */
    #sameAs(read: readonly ColumnMetadata[], row: Row): string {
      return read
        .map(
          ({ databaseName }) => `${this.escape(databaseName)} = ${this.createParameter(row[databaseName])}`,
        )
        .join(' AND ');
    }

    #derive(columns: readonly EncryptedColumn[]): Row {
      const set = this.#set();
      const isSave = this.expressionMap.whereEntities.length > 0;
      for (const column of columns) refuseUnsafeSet(column, set, this.#criteria ?? {}, isSave);
      const [unknown] = this.#unknownBound(columns);
      if (unknown) throw notPrepared(setIn(columns, set), unknown);
      const known = this.#known();
      const [derived] = deriveRows(dataSource, seal, columns, [set], this.#prepared, (row) =>
        boundOf(columns, row, known),
      );
      return withoutUnset(columns, derived!);
    }
  };
}
