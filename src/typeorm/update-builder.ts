/** UPDATE: one sealing for the values of `.set()`, bound to what the statement says about its row. */
import { InstanceChecker } from 'typeorm';
import { QueryError, SealError } from '../errors.js';
import { refuseBareTable } from './bare-table.js';
import { deriveRows, valuesOf } from './derived-rows.js';
import { siblingsOf, type EncryptedColumn } from './encrypted-column.js';
import type { BuilderClass, Row, UpdateInternals } from './internals.js';
import { writingMasks } from './mask-column.js';
import { mainMetadata, type BuilderContext } from './query-builders.js';
import { restorePlaintext } from './returned-cells.js';
import { showMasks } from './shown-masks.js';

export function updateBuilder(
  context: BuilderContext,
  Plain: BuilderClass<UpdateInternals>,
): BuilderClass<UpdateInternals> {
  const { dataSource, seal, columnsOf } = context;

  return class FieldSealUpdateQueryBuilder extends Plain {
    #derived: Row | undefined;
    /** The set of the SQL that was made last. */
    #written: Row = {};
    /** What plain equality in the criteria says about every matched row; undefined once there are alternatives. */
    #criteria: Row | undefined = {};

    override async execute(): ReturnType<UpdateInternals['execute']> {
      const columns = this.#columns();
      if (columns.length === 0) return super.execute();
      const set = super.getValueSet();
      await seal.prepare(valuesOf(columns, [set]));
      const write = () => super.execute();
      const { returning, whereEntities, updateEntity } = this.expressionMap;
      const result = await (returning ? restorePlaintext(columns, [set, ...whereEntities], write) : write());
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
      try {
        this.#written = this.#derived = this.#derive(columns);
        return writingMasks(columns, () => super.getQuery());
      } finally {
        this.#derived = undefined;
      }
    }

    override getValueSet(): Row {
      return this.#derived ?? super.getValueSet();
    }

    override where(where: unknown, parameters?: unknown): this {
      this.#criteria = this.#pinned(where);
      return super.where(where, parameters);
    }

    override andWhere(where: unknown, parameters?: unknown): this {
      this.#criteria &&= { ...this.#criteria, ...this.#pinned(where) };
      return super.andWhere(where, parameters);
    }

    override orWhere(where: unknown, parameters?: unknown): this {
      this.#criteria = undefined;
      return super.orWhere(where, parameters);
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

    #pinned(where: unknown): Row {
      return withoutInexact(this.#columns(), equalities(where));
    }

    #derive(columns: readonly EncryptedColumn[]): Row {
      const set = super.getValueSet();
      const known = this.#criteria ?? {};
      const isSave = this.expressionMap.whereEntities.length > 0;
      for (const column of columns) refuseUnsafeSet(column, set, known, isSave);
      const [derived] = deriveRows(dataSource, seal, columns, [set], (row) => ({ ...known, ...row }));
      return derived!;
    }
  };
}

/** The properties that a where object pins to one value. */
function equalities(where: unknown): Row {
  if (
    typeof where !== 'object' ||
    where === null ||
    Array.isArray(where) ||
    InstanceChecker.isBrackets(where)
  ) {
    return {};
  }
  const pinned: Row = {};
  for (const [property, value] of Object.entries(where)) {
    if (!InstanceChecker.isFindOperator(value)) pinned[property] = value;
    else if (value.type === 'equal') pinned[property] = value.value;
    // TypeORM 0.3 names one row by its id so.
    else if (value.type === 'in' && Array.isArray(value.value) && value.value.length === 1)
      pinned[property] = (value.value as readonly unknown[])[0];
  }
  return pinned;
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

function refuseUnsafeSet(column: EncryptedColumn, set: Row, known: Row, isSave: boolean): void {
  const { cell, mask, bound, label } = column;
  const isSet = cell.getEntityValue(set) !== undefined;
  for (const sibling of siblingsOf(column)) {
    // Whoever gives or saves a whole entity gives its mask along; that of the value takes its place, if there is a value.
    if (sibling === mask && (isSet || isSave)) continue;
    if (sibling.getEntityValue(set) !== undefined) {
      throw new QueryError(
        'ERR_QUERY_UNSUPPORTED',
        `${sibling.propertyPath} is written together with ${label} and cannot be set. Set ${cell.propertyPath} instead.`,
      );
    }
  }
  for (const { column: boundTo } of bound) {
    const value: unknown = boundTo.getEntityValue(set);
    if (value === undefined || isSet || value === boundTo.getEntityValue(known)) continue;
    throw new SealError(
      'ERR_SEAL_BINDING',
      `${label} is bound to ${boundTo.propertyPath}: changing that alone would make its cell unreadable. ` +
        `Set ${cell.propertyPath} in the same statement.`,
    );
  }
}
