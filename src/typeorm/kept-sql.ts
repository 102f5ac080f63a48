/**
 * Parts of a SELECT that come out the same for every statement on an entity. TypeORM makes them anew each time, which is
 * nearly half of its work on a look-up of one row.
 */
import type { DataSource, EntityMetadata } from 'typeorm';
import { familyOf, type Family } from './column-types.js';
import type { ExpressionMapInternals, SelectSelection } from './internals.js';
import { PerEntity } from './per-entity.js';

const MAX_LENGTH = 4_000;

/**
 * What a value may stand in that somebody wrote into a statement by hand: quotes, which MySQL has two kinds of, dollars, or
 * many digits. Nobody expects that such a text is held.
 */
const VALUES: Readonly<Record<Family, RegExp>> = {
  postgres: /['$]|\d{5}/u,
  mysql: /['"]|\d{5}/u,
  sqlite: /'|\d{5}/u,
};

/** Whether nobody's values stand in a text. */
export const mayKeepText =
  (family: Family): ((statement: string) => boolean) =>
  (statement) =>
    !VALUES[family].test(statement);

export class KeptSql {
  readonly #selects = new PerEntity<readonly SelectSelection[]>();
  readonly #statements = new PerEntity<string>();
  readonly #mayKeep: (statement: string) => boolean;

  constructor(dataSource: DataSource) {
    const mayKeep = mayKeepText(familyOf(dataSource));
    this.#mayKeep = (statement) => statement.length <= MAX_LENGTH && mayKeep(statement);
  }

  /** What is selected of an alias; a list of its own for each statement. */
  selectsOf(
    map: ExpressionMapInternals,
    alias: string,
    metadata: EntityMetadata,
    make: () => SelectSelection[],
  ): SelectSelection[] {
    return isWhole(map, alias, metadata) ? [...this.#selects.get(metadata, alias, make)] : make();
  }

  /** The statement with the names of columns in the place of property paths. */
  withColumnNames(map: ExpressionMapInternals, statement: string, make: () => string): string {
    const { aliases, mainAlias } = map;
    // A join would bring metadata of its own; the alias is in the text.
    if (aliases.length !== 1 || !mainAlias?.hasMetadata) return make();
    return this.#statements.get(mainAlias.metadata, statement, make, this.#mayKeep);
  }
}

/** Whether the statement takes every column of this alias; those that the application computes may differ each time. */
export function isWhole(
  { selects, queryEntity }: ExpressionMapInternals,
  alias: string,
  { columns }: EntityMetadata,
): boolean {
  return (
    queryEntity &&
    selects.some(({ selection }) => selection === alias) &&
    !selects.some(({ selection }) => selection.startsWith(`${alias}.`)) &&
    !columns.some(({ isVirtualProperty }) => isVirtualProperty)
  );
}
