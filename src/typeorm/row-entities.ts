/**
 * Entities of a select without joins, each made of one row. TypeORM makes those of every select as if it had joins: it
 * sorts rows into lists by primary key before it makes the first, which takes a tenth of loading a page.
 */
import { isUint8Array } from 'node:util/types';
import type { DataSource, EntityMetadata, ObjectLiteral, QueryRunner } from 'typeorm';
import type { AliasInternals, ColumnMetadata, ExpressionMapInternals, Row } from './internals.js';
import { isWhole } from './kept-sql.js';
import { PerEntity } from './per-entity.js';
import type { RawNameIn } from './raw-names.js';

/** How rows of one alias become entities. */
export interface RowPlan {
  readonly metadata: EntityMetadata;
  /** Raw names of the primary key. */
  readonly keys: readonly string[];
  readonly columns: readonly (readonly [rawName: string, column: ColumnMetadata])[];
}

export class RowEntities {
  readonly #dataSource: DataSource;
  readonly #nameIn: RawNameIn;
  readonly #plans = new PerEntity<{ readonly plan: RowPlan | undefined }>();

  constructor(dataSource: DataSource, nameIn: RawNameIn) {
    this.#dataSource = dataSource;
    this.#nameIn = nameIn;
  }

  /** Undefined where an entity needs more than its own row, or TypeORM more than the rows: then it does all itself. */
  planOf(map: ExpressionMapInternals): RowPlan | undefined {
    const { mainAlias } = map;
    if (!mainAlias?.hasMetadata || !isOfOneTable(map) || !isWhole(map, mainAlias.name, mainAlias.metadata))
      return undefined;
    return this.#plans.get(mainAlias.metadata, mainAlias.name, () => ({ plan: this.#makePlan(mainAlias) }))
      .plan;
  }

  /** In the order of the rows. A second row with the same primary key, which a view may have, makes no second entity. */
  hydrate(
    { metadata, keys, columns }: RowPlan,
    rows: readonly Row[],
    queryRunner: QueryRunner | undefined,
  ): ObjectLiteral[] {
    const { driver } = this.#dataSource;
    const seen = new Set<unknown>();
    const entities: ObjectLiteral[] = [];
    for (const row of rows) {
      const id = idOf(keys, row);
      if (seen.has(id)) continue;
      seen.add(id);
      const entity = metadata.create(queryRunner, { fromDeserializer: true }) as ObjectLiteral;
      let isSet = false;
      for (const [rawName, column] of columns) {
        const value = row[rawName];
        if (value === undefined) continue;
        if (value !== null) isSet = true;
        column.setEntityValue(entity, driver.prepareHydratedValue(value, column));
      }
      if (isSet) entities.push(entity);
    }
    return entities;
  }

  #makePlan({ name, metadata }: AliasInternals): RowPlan | undefined {
    if (!isOfOneRow(metadata)) return undefined;
    const keys = metadata.primaryColumns.map((column) => this.#nameIn(name, column));
    const columns = metadata.columns
      .filter(({ isVirtual }) => !isVirtual)
      .map((column) => [this.#nameIn(name, column), column] as const);
    const isNamed = keys.every(isDefined) && columns.every(([rawName]) => isDefined(rawName));
    return isNamed ? ({ metadata, keys, columns } as RowPlan) : undefined;
  }
}

const isDefined = (name: string | undefined): name is string => name !== undefined;

/** No other table, nothing to load behind the rows, no lock whose rules TypeORM would have to check. */
function isOfOneTable(map: ExpressionMapInternals): boolean {
  const { aliases, joinAttributes, relationIdAttributes, relationCountAttributes = [] } = map;
  return (
    aliases.length === 1 &&
    joinAttributes.length + relationIdAttributes.length + relationCountAttributes.length === 0 &&
    map.relationLoadStrategy !== 'query' &&
    map.lockMode === undefined &&
    map.options.length === 0
  );
}

/** No table of several classes, of which each row names one, and no property that other tables fill. */
function isOfOneRow(metadata: EntityMetadata & RelationCounts): boolean {
  const { tableType, primaryColumns, childEntityMetadatas, relationIds, relationCounts = [] } = metadata;
  return (
    tableType === 'regular' &&
    primaryColumns.length > 0 &&
    primaryColumns.every(({ isVirtual }) => !isVirtual) &&
    childEntityMetadatas.length + relationIds.length + relationCounts.length === 0
  );
}

/** Of TypeORM 0.3. */
interface RelationCounts {
  readonly relationCounts?: readonly unknown[];
}

/** Texts and numbers are ids as they are; of others, what TypeORM takes them for. */
function idOf(keys: readonly string[], row: Row): unknown {
  const first = row[keys[0]!];
  if (keys.length === 1 && typeof first !== 'object') return first;
  return keys.map((key) => textOf(row[key])).join('_');
}

function textOf(value: unknown): unknown {
  if (isUint8Array(value)) return Buffer.from(value).toString('hex');
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : value;
}
