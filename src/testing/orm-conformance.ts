/**
 * Behaviour that every ORM adapter must show, as cases that need no test framework: nothing plain is written, sent,
 * logged or thrown, whichever verb is used, and what cannot be done is refused.
 */
import { readCases } from './orm/read-cases.js';
import { searchCases } from './orm/search-cases.js';
import { writeCases } from './orm/write-cases.js';
import type { OrmCase } from './orm/orm-under-test.js';

export type {
  CardRow,
  CustomerRow,
  OrmCase,
  OrmFixture,
  OrmTable,
  Test,
  ValueRow,
  Where,
} from './orm/orm-under-test.js';

/** Run each with tables of its own: `for (const { row, name, run } of ormConformance) test(name, () => run(make))`. */
export const ormConformance: readonly OrmCase[] = [...writeCases, ...readCases, ...searchCases];
