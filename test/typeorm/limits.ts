/** What a database or a version of TypeORM cannot do, and why. Everything else works on all of them. */
import { inject, type TestContext } from 'vitest';
import { databaseName, type DatabaseName } from './databases.js';

export type TypeormVersion = '1.1.1' | '0.3.31' | '0.3.20';

declare module 'vitest' {
  interface ProvidedContext {
    /** Of the project that runs the test. */
    typeorm: TypeormVersion;
  }
}

interface Limit {
  readonly without: readonly (DatabaseName | TypeormVersion)[];
  readonly reason: string;
}

const NO_ATTACH =
  'columns are declared with the types of PostgreSQL until attachFieldSeal says which database it is, ' +
  'and TypeORM refuses types that a database does not have';

export const LIMITS = {
  'a DataSource that is not attached': { without: ['mariadb', 'sqljs'], reason: NO_ATTACH },
  'INSERT … SELECT by a query builder': {
    without: ['0.3.31', '0.3.20'],
    reason: 'TypeORM 0.3 has no valuesFromSelect',
  },
  '@ForeignKey': { without: ['0.3.20'], reason: 'TypeORM has it from 0.3.21 on' },
  RETURNING: { without: ['sqljs'], reason: 'TypeORM knows no RETURNING for SQLite' },
  'RETURNING of an UPDATE': {
    without: ['mariadb', 'sqljs'],
    reason: 'MariaDB returns rows of INSERT and DELETE only, and TypeORM knows no RETURNING for SQLite',
  },
  streams: { without: ['sqljs'], reason: 'TypeORM has no streams for SQLite' },
  'a log and files of PostgreSQL to search': {
    without: ['mariadb', 'sqljs'],
    reason:
      'the canary suite reads those of PostgreSQL; the scan at the end of a run reads the general log of MariaDB too',
  },
  'a CHECK constraint on cells': {
    without: ['mariadb', 'sqljs'],
    reason: 'its expression compares the bytes of a cell with a UUID by functions of PostgreSQL',
  },
  'one statement for another primary key': {
    without: ['mariadb', 'sqljs'],
    reason: 'TypeORM makes the table or the key anew in several',
  },
  'a key store in the same database': {
    without: ['mariadb', 'sqljs'],
    reason: 'the key store lives in PostgreSQL',
  },
  'a limit of bind parameters': {
    without: ['mariadb'],
    reason: 'drivers of the MySQL family write values into the text of the statement',
  },
  'database roles': { without: ['sqljs'], reason: 'SQLite has neither users nor GRANT' },
  'transactions at once': { without: ['sqljs'], reason: 'a sql.js DataSource has one connection' },
  'several processes': { without: ['sqljs'], reason: 'the database is in this process' },
  'integers beyond 2^53': {
    without: ['sqljs'],
    reason:
      'the drivers of SQLite give integers as numbers, so a cell is not bound to one that no number holds',
  },
  'objects that keep their ids when several are inserted': {
    without: ['sqljs'],
    reason:
      'without RETURNING, TypeORM reads the inserted rows again and gives them to the objects in the order of the table',
  },
  'an upsert with a condition of its own': {
    without: ['mariadb', 'sqljs', '0.3.20'],
    reason: 'TypeORM writes overwriteCondition for PostgreSQL only, and 0.3.20 does not know it',
  },
  'the rest of an upsert as text': {
    without: ['mariadb', '1.1.1'],
    reason: 'onConflict is of TypeORM 0.3, for PostgreSQL and SQLite',
  },
  'an upsert that sets parameters': {
    without: ['1.1.1'],
    reason: 'TypeORM 1.x has no orUpdate({ columns })',
  },
  'an upsert by the key that it names': {
    without: ['mariadb'],
    reason:
      'ON DUPLICATE KEY UPDATE finds its row by any unique key, so a bound value is overwritten with its cell',
  },
} as const satisfies Readonly<Record<string, Limit>>;

export type Ability = keyof typeof LIMITS;

const here: readonly string[] = [databaseName, inject('typeorm')];

/** Prints why where the answer is no. */
export function isAbleTo(ability: Ability): boolean {
  const { without, reason }: Limit = LIMITS[ability];
  const limited = without.find((name) => here.includes(name));
  if (limited !== undefined) console.log(`${limited}: no ${ability}: ${reason}`);
  return limited === undefined;
}

/** Skips a test of what cannot be done here, and prints why. */
export function needs(context: TestContext, ability: Ability): void {
  if (!isAbleTo(ability)) context.skip(LIMITS[ability].reason);
}
