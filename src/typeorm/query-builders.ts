/**
 * Subclasses of TypeORM's own builders, made for one attached data source. Every save, cascade, insert, update, upsert,
 * find and query builder of that data source ends in one of them:
 *
 * - writes: while the SQL is made, the value sets are replaced by derived rows (`derived-rows`);
 * - where objects are rewritten to blind indexes (`where`), fragments of SQL are checked (`raw-use`);
 * - reads: raw rows are opened page by page before hydration (`page`).
 */
import type { DataSource, EntityMetadata, EntityTarget, ObjectLiteral, QueryRunner } from 'typeorm';
import type { FieldSealPages, PendingIndex } from '../keys/field-seal.js';
import type { ColumnsOf, EncryptedColumn } from './encrypted-column.js';
import { refuseBeyondInsert } from './insert-only.js';
import { insertBuilder } from './insert-builder.js';
import { handwrittenIn } from './insert-sql.js';
import {
  type BuilderClass,
  type DataSourceInternals,
  type InsertInternals,
  type QueryBuilderInternals,
  type SelectInternals,
  type Searching,
  type UpdateInternals,
  type WriteInternals,
} from './internals.js';
import type { Opener } from './opener.js';
import { withNumberedValues } from './numbered-values.js';
import { refuseTooManyParameters } from './parameter-limit.js';
import { refuseOrder, textCheck } from './raw-use.js';
import { selectBuilder } from './select-builder.js';
import { softDeleteBuilder } from './soft-delete-builder.js';
import { refuseStandIns } from './stand-in.js';
import { updateBuilder } from './update-builder.js';
import { rewriteWhere } from './where.js';

/** What the builders of one data source share. */
export interface BuilderContext {
  readonly dataSource: DataSource;
  /** A builder of TypeORM's own, as the data source made them before it was attached. */
  readonly plainBuilder: () => SelectInternals;
  readonly seal: FieldSealPages;
  readonly open: Opener;
  /** Resolved late: metadata is built anew by every `initialize()`. */
  readonly columnsOf: ColumnsOf;
  /** Whether SQL written by hand is searched for encrypted columns. */
  readonly checkRawWhere: boolean;
  /** Whether the database role may do nothing but INSERT. */
  readonly insertOnly: boolean;
  /** Whether a select of an entity takes its cells along. */
  readonly selectCells: boolean;
}

export interface Builders {
  readonly select: BuilderClass<SelectInternals>;
  readonly insert: BuilderClass<InsertInternals>;
  readonly update: BuilderClass<UpdateInternals>;
  readonly delete: BuilderClass<QueryBuilderInternals>;
  readonly softDelete: BuilderClass<WriteInternals>;
}

/** Builder classes over those that this data source uses, whichever version or copy of TypeORM it comes from. */
export function makeBuilders(context: BuilderContext): Builders {
  const { dataSource } = context;
  const plain = context.plainBuilder();
  const checkText = textCheck(context);
  const builders: Builders = {
    select: selectBuilder(context, withFieldSeal(classOf(plain))),
    insert: insertBuilder(context, withFieldSeal(withNumberedValues(dataSource, classOf(plain.insert())))),
    update: updateBuilder(context, withFieldSeal(classOf(plain.update()))),
    delete: withFieldSeal(classOf(plain.delete())),
    softDelete: softDeleteBuilder(context, withFieldSeal(classOf(plain.softDelete()))),
  };
  return builders;

  function checkStatement(sql: string, builder: QueryBuilderInternals): void {
    const { queryType, insertFromSelect } = builder.expressionMap;
    if (queryType !== 'insert' || insertFromSelect) checkText(sql);
    else for (const text of handwrittenIn(builder as InsertInternals)) checkText(text);
  }

  /** What all builders have in common: where objects, the check of SQL fragments, and the way from one to another. */
  function withFieldSeal<T extends QueryBuilderInternals>(TypeOrms: BuilderClass<T>): BuilderClass<T> {
    const Plain: BuilderClass<QueryBuilderInternals> = TypeOrms;
    class WithFieldSeal extends Plain {
      /** Made when something is noted: most statements search no encrypted column. */
      #searched: Map<EncryptedColumn, readonly PendingIndex[]> | undefined;

      noteSearch(column: EncryptedColumn, pending: readonly PendingIndex[]): void {
        this.#searched ??= new Map();
        this.#searched.set(column, [...(this.#searched.get(column) ?? []), ...pending]);
      }

      searchedBy(column: EncryptedColumn): readonly PendingIndex[] | undefined {
        return this.#searched?.get(column);
      }

      override clone(): this {
        const copy = super.clone();
        this.#searched?.forEach((pending, column) => (copy as WithFieldSeal).noteSearch(column, pending));
        return copy;
      }

      override getQuery(): string {
        refuseBeyondInsert(context, this.expressionMap);
        const { queryType } = this.expressionMap;
        if (queryType === 'select') refuseOrder(context, this.expressionMap);
        const sql = super.getQuery();
        if (context.checkRawWhere) checkStatement(sql, this);
        return sql;
      }

      override getQueryAndParameters(): [sql: string, parameters: unknown[]] {
        const [sql, parameters] = super.getQueryAndParameters();
        refuseTooManyParameters(context, this, parameters.length);
        refuseStandIns(parameters);
        return [sql, parameters];
      }

      override getPredicates(
        ...[where, ...more]: Parameters<QueryBuilderInternals['getPredicates']>
      ): Iterable<readonly [string, unknown]> {
        const metadata = mainMetadata(this);
        if (!metadata) return super.getPredicates(where, ...more);
        const builder = outermost(this) as QueryBuilderInternals & Searching;
        const { seal, columnsOf } = context;
        return super.getPredicates(rewriteWhere({ seal, columnsOf, builder }, metadata, where), ...more);
      }

      // TypeORM changes the kind of a builder through a registry that knows its own classes only.
      override select(...args: Parameters<QueryBuilderInternals['select']>): QueryBuilderInternals {
        return inKind(this, super.select(...args), builders.select);
      }

      override insert(): QueryBuilderInternals {
        return inKind(this, super.insert(), builders.insert);
      }

      override update(...args: Parameters<QueryBuilderInternals['update']>): QueryBuilderInternals {
        return inKind(this, super.update(...args), builders.update);
      }

      override delete(): QueryBuilderInternals {
        return inKind(this, super.delete(), builders.delete);
      }

      override softDelete(): QueryBuilderInternals {
        return inKind(this, super.softDelete(), builders.softDelete);
      }

      override restore(): QueryBuilderInternals {
        return inKind(this, super.restore(), builders.softDelete);
      }
    }
    return WithFieldSeal as unknown as BuilderClass<T>;
  }
}

const classOf = <T extends QueryBuilderInternals>(builder: QueryBuilderInternals): BuilderClass<T> =>
  builder.constructor as BuilderClass<T>;

function inKind(
  before: QueryBuilderInternals,
  after: QueryBuilderInternals,
  Kind: BuilderClass<QueryBuilderInternals>,
): QueryBuilderInternals {
  return after === before ? after : new Kind(after);
}

/** Conditions in brackets are collected by a builder of their own. */
function outermost(builder: QueryBuilderInternals): QueryBuilderInternals {
  return builder.parentQueryBuilder ? outermost(builder.parentQueryBuilder) : builder;
}

/** The entity that a statement is about; undefined for a table that no entity maps. */
export function mainMetadata({ expressionMap }: QueryBuilderInternals): EntityMetadata | undefined {
  return expressionMap.mainAlias?.hasMetadata ? expressionMap.mainAlias.metadata : undefined;
}

/**
 * What a data source makes its select builders with from now on. TypeORM's own method is known, and its builders are made
 * of our class at once, since everybody who finds anything waits for two; one that somebody else has put in its place is
 * asked for a builder, with the arguments as they came, since it may count them. That builder is then turned into ours.
 */
export function sealingSelects(
  dataSource: DataSource,
  builders: Builders,
  createQueryBuilder: DataSourceInternals['createQueryBuilder'],
): DataSourceInternals['createQueryBuilder'] {
  const own = isTypeOrms(dataSource);
  const maxLength = dataSource.driver.maxAliasLength || Infinity;
  return (...args) => {
    const [entityOrRunner, alias, queryRunner] = args;
    if (!own || (alias !== undefined && (alias === '' || alias.length > maxLength))) {
      const builder = createQueryBuilder(...args);
      return builder instanceof builders.select ? builder : asSealing(dataSource, builders, builder);
    }
    if (alias === undefined)
      return new builders.select(dataSource, entityOrRunner as QueryRunner | undefined);
    const { target } = dataSource.getMetadata(entityOrRunner as EntityTarget<ObjectLiteral>);
    return new builders.select(dataSource, queryRunner).select(alias).from(target, alias);
  };
}

/** Whether no object and no class between has a `createQueryBuilder` of its own before that of the base class. */
function isTypeOrms(dataSource: DataSource): boolean {
  let owner: object = dataSource;
  while (!Object.hasOwn(owner, 'createQueryBuilder')) owner = Object.getPrototypeOf(owner) as object;
  return Object.getPrototypeOf(owner) === Object.prototype;
}

/**
 * A select builder of TypeORM's own, as one that seals. Nobody else has it, so what it holds is taken over and not copied.
 */
export function asSealing(
  dataSource: DataSource,
  builders: Builders,
  plain: SelectInternals,
): SelectInternals {
  const { queryRunner, expressionMap } = plain;
  return new builders.select({
    dataSource,
    connection: dataSource, // its name in TypeORM 0.3
    queryRunner,
    expressionMap: { clone: () => expressionMap },
  });
}
