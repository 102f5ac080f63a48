/** The parts of a statement: its clauses, the tables that they name, and what an INSERT has behind its values. */
import type { Name, Token } from './sql-tokens.js';
import { isSymbol, isTableStatement, splitAt, wordOf, words } from './sql-words.js';

type Items = readonly Token[];

const CLAUSES: ReadonlySet<string> = words(`
  SELECT RETURNING FROM WHERE GROUP HAVING WINDOW ORDER LIMIT OFFSET FETCH FOR UPDATE DELETE SET USING VALUES
`);

const keyword = (word: string): Name => ({ kind: 'name', path: [word.toLowerCase()], word });

/** `TABLE cards` as `SELECT * FROM cards`, and what MySQL does with rows that are there already as `SET …`. */
export function withoutShortForms(items: Items): Items {
  if (isTableStatement(items))
    return [keyword('SELECT'), { kind: 'symbol', text: '*' }, keyword('FROM'), ...items.slice(1)];
  return isDuplicateKey(items, 0) ? [keyword('SET'), ...items.slice(4)] : items;
}

const isDuplicateKey = (items: Items, at: number): boolean =>
  ['ON', 'DUPLICATE', 'KEY', 'UPDATE'].every((word, i) => wordOf(items[at + i]) === word);

/** Whether the part of an INSERT begins here that may name columns of rows which are there already. */
export function isBehindValues(items: Items, at: number): boolean {
  const [word, next, third] = [items[at], items[at + 1], items[at + 2]].map(wordOf);
  const isConflict =
    next === 'CONFLICT' && (items[at + 2]?.kind === 'group' || ['DO', 'ON'].includes(third!));
  return word === 'RETURNING' || isDuplicateKey(items, at) || (word === 'ON' && isConflict);
}

/** `column = EXCLUDED.column`, `column = VALUES(column)`: what the statement itself would have inserted there. */
export function isOwnValue([target, , value, argument, ...more]: Items): boolean {
  if (target?.kind !== 'name' || value?.kind !== 'name' || more.length > 0) return false;
  const name = target.path.at(-1);
  if (argument === undefined)
    return value.path.length === 2 && value.path[0] === 'excluded' && value.path[1] === name;
  const [only, ...others] = argument.kind === 'group' ? argument.items : [];
  return value.word === 'VALUES' && others.length === 0 && only?.kind === 'name' && only.path.at(-1) === name;
}

/** A statement in parts, each with the word that it begins with. */
export function clausesOf(items: Items): readonly (readonly [word: string, items: Items])[] {
  const clauses: [string, Token[]][] = [];
  items.forEach((token, at) => {
    if (isClauseAt(items, at)) clauses.push([wordOf(token), []]);
    else clauses.at(-1)?.[1].push(token);
  });
  return clauses;
}

function isClauseAt(items: Items, at: number): boolean {
  const word = wordOf(items[at]);
  if (!CLAUSES.has(word)) return false;
  if (word === 'GROUP' || word === 'ORDER')
    return wordOf(items[at + 1]) === 'BY' && !isIndexHint(items[at - 2]);
  if (word === 'UPDATE' || word === 'DELETE' || word === 'VALUES') return at === 0;
  // Rows of another time, and what an index is for, say so behind the name of their table.
  if (word === 'FOR') return wordOf(items[at + 1]) !== 'SYSTEM_TIME' && !isIndexHint(items[at - 1]);
  // That of IS DISTINCT FROM is none.
  if (word === 'FROM') return wordOf(items[at - 1]) !== 'DISTINCT';
  // That of a join has its columns in brackets.
  return word !== 'USING' || items[at + 1]?.kind !== 'group';
}

const isIndexHint = (token: Token | undefined): boolean => ['INDEX', 'KEY'].includes(wordOf(token));

/** What stands behind a table and its alias. */
const HINTS: ReadonlySet<string> = words('TABLESAMPLE INDEXED NOT USE FORCE IGNORE');

/** A table with its alias and the names of its columns, if any. */
export function withoutHints(items: Items): Items {
  const end = items.findIndex((token, at) => at > 0 && HINTS.has(wordOf(token)));
  const [table, ...rest] = (end < 0 ? items : items.slice(0, end)).filter(
    (token) => !['ONLY', 'LATERAL', 'AS'].includes(wordOf(token)) && !isSymbol(token, '*'),
  );
  if (table === undefined) return [];
  const isPartitioned = wordOf(rest[0]) === 'PARTITION' && rest[1]?.kind === 'group';
  const behind = isPartitioned ? rest.slice(2) : rest;
  // The time takes several words, the alias is the last one.
  return [table, ...(wordOf(behind[0]) === 'FOR' ? behind.slice(-1) : behind)];
}

const JOINS: ReadonlySet<string> = words('JOIN INNER LEFT RIGHT FULL CROSS NATURAL OUTER STRAIGHT_JOIN');

/** `a, b AS x, (SELECT …) y (columns) JOIN z ON … USING (…)`. */
export function partsOfFrom(items: Items): readonly { readonly table: Items; readonly condition: Items }[] {
  // LEFT and RIGHT are functions too.
  const isJoin = (word: string, at: number): boolean =>
    JOINS.has(word) &&
    (word.endsWith('JOIN') || items[at + 1]?.kind !== 'group') &&
    wordOf(items[at - 1]) !== 'FOR';
  return splitAt(items, (token, at) => isSymbol(token, ',') || isJoin(wordOf(token), at)).map((part) => {
    const on = part.findIndex((token) => ['ON', 'USING'].includes(wordOf(token)));
    return on < 0
      ? { table: part, condition: [] }
      : { table: part.slice(0, on), condition: part.slice(on + 1) };
  });
}
