/** The words of SQL that tell whether a name beside them is a column. */
import type { Name, Token } from './sql-tokens.js';

type Items = readonly Token[];

export const words = (list: string): ReadonlySet<string> => new Set(list.trim().split(/\s+/u));

/**
 * Words that an operand may follow. Behind any other word, and behind an operand, a name is an alias, a unit or a type:
 * `e.total text`, `INTERVAL 1 YEAR`, `CAST(e.id AS text)`.
 */
const BEFORE_OPERANDS = words(`
  ALL AND ANY ARRAY AGAINST BETWEEN BINARY BOTH BY CASE DISTINCT DISTINCTROW DIV ELSE EXCEPT EXISTS FILTER FOR FROM GLOB HAVING
  ILIKE IN INTERSECT INTERVAL IS LEADING LIKE LIMIT MATCH MOD NOT OF OFFSET ON OR OVERLAPS PASSING PLACING REGEXP RETURNING
  RLIKE ROW SELECT SEPARATOR SET SIMILAR SOME SOUNDS SYMMETRIC THEN TO TRAILING UNION USING VALUES WHEN WHERE XOR ZONE ESCAPE
`);

/** What may stand before the first selected column, in any order, and changes nothing of what is selected. */
const SELECT_MODIFIERS = words(`
  ALL HIGH_PRIORITY STRAIGHT_JOIN SQL_BIG_RESULT SQL_BUFFER_RESULT SQL_CACHE SQL_CALC_FOUND_ROWS SQL_NO_CACHE SQL_SMALL_RESULT
`);

/** Those that no database takes for the name of a column unless it stands in quotes. */
const RESERVED = words(`
  ALL AND AS BETWEEN BOTH BY CASE DISTINCT ELSE EXCEPT EXISTS FOR FROM HAVING IN INTERSECT IS LEADING LIKE LIMIT NOT NULL ON OR
  SELECT SET THEN TO TRAILING UNION USING VALUES WHEN WHERE
`);

/** Functions that take the name of a unit, a type or a set of characters as an argument, at this place. */
const UNIT_ARGUMENTS: ReadonlyMap<string, number> = new Map([
  ['EXTRACT', 0],
  ['TIMESTAMPADD', 0],
  ['TIMESTAMPDIFF', 0],
  ['GET_FORMAT', 0],
  ['CONVERT', 1],
]);

/** What a single name without quotes says as a keyword; empty for everything else. */
export const wordOf = (token: Token | undefined): string => (token?.kind === 'name' ? token.word : '');

export const isSymbol = (token: Token | undefined, text: string): boolean =>
  token?.kind === 'symbol' && token.text === text;

/** Whether a value may end with this token, so that no other begins behind it. */
export function isOperand(token: Token | undefined): boolean {
  if (token === undefined) return false;
  return token.kind === 'symbol' ? token.text === ']' : !BEFORE_OPERANDS.has(wordOf(token));
}

/** Words of aggregates and windows, which are columns elsewhere: `OVER (PARTITION BY id ORDER BY id)`. */
const BEFORE_BY: ReadonlySet<string> = words('ORDER GROUP PARTITION');

/** Whether the name at this place stands for a column, by what is around it. */
export function isColumnAt(items: Items, at: number): boolean {
  const { path, word } = items[at] as Name;
  const [before, after] = [items[at - 1], items[at + 1]];
  const isFunction = after?.kind === 'group';
  if (isFunction || ['.', '::'].some((text) => isSymbol(before, text))) return false;
  if (path.length > 1) return wordOf(before) !== 'AS';
  const isOperator = before?.kind === 'group' && wordOf(items[at - 2]) === 'OPERATOR';
  if (RESERVED.has(word) || (isOperand(before) && !isOperator)) return false;
  if (BEFORE_BY.has(word) && wordOf(after) === 'BY') return false;
  const isTyped = word !== '' && after?.kind === 'value' && /^[A-Z]*['$]/iu.test(after.text);
  return !isTyped && !['=>', ':='].some((text) => isSymbol(after, text));
}

/** `… IS NULL`, `… IS NOT NULL` at this place, and the short forms of some databases. */
export function isNullTest(items: Items, at: number): boolean {
  const [first, second, third] = [items[at], items[at + 1], items[at + 2]].map(wordOf);
  if (first === 'ISNULL' || first === 'NOTNULL') return true;
  if (first === 'NOT') return second === 'NULL';
  return first === 'IS' && (second === 'NOT' ? third : second) === 'NULL';
}

/** `((a))` as `a`; a statement keeps its brackets. */
export function withoutBrackets(items: Items): Items {
  const [only] = items;
  const isBracketed = items.length === 1 && only?.kind === 'group' && !isStatement(only.items);
  return isBracketed ? withoutBrackets(only.items) : items;
}

/** The arguments of a function, without the words in them that are no values. */
export function argumentsOf(name: string, items: Items): readonly Items[] {
  const unit = UNIT_ARGUMENTS.get(name);
  return unit === undefined
    ? [items]
    : listOf(items).map((argument, place) => (place === unit ? argument.slice(1) : argument));
}

/** The parts between the tokens that divide them. */
export function splitAt(items: Items, divides: (token: Token, at: number) => boolean): readonly Items[] {
  const parts: Token[][] = [[]];
  items.forEach((token, at) => {
    if (divides(token, at)) parts.push([]);
    else parts.at(-1)!.push(token);
  });
  return parts;
}

export const listOf = (items: Items): readonly Items[] => splitAt(items, (token) => isSymbol(token, ','));

export const isSetOperation = (token: Token): boolean =>
  ['UNION', 'INTERSECT', 'EXCEPT'].includes(wordOf(token));

const STATEMENTS: ReadonlySet<string> = words('SELECT WITH UPDATE DELETE INSERT MERGE VALUES');

/** `TABLE cards`. */
export const isTableStatement = ([first, next]: readonly (Token | undefined)[]): boolean =>
  wordOf(first) === 'TABLE' && next?.kind === 'name';

/** Whether brackets hold a statement, in however many brackets of its own. */
export function isStatement([first, next]: Items): boolean {
  if (first?.kind !== 'group') return STATEMENTS.has(wordOf(first)) || isTableStatement([first, next]);
  // `(SELECT …) + 1` is an expression, `(SELECT …) UNION (SELECT …)` is not.
  const isWhole =
    next === undefined || isSetOperation(next) || ['ORDER', 'LIMIT', 'OFFSET'].includes(wordOf(next));
  return isWhole && isStatement(first.items);
}

/** What follows SELECT, with DISTINCT first if it is there. */
export function withoutModifiers(items: Items): Items {
  const isDistinct = (token: Token | undefined): boolean =>
    ['DISTINCT', 'DISTINCTROW'].includes(wordOf(token));
  const end = items.findIndex((token) => !SELECT_MODIFIERS.has(wordOf(token)) && !isDistinct(token));
  const before = items.slice(0, Math.max(end, 0));
  return [...before.filter(isDistinct), ...items.slice(before.length)];
}

/** `expression AS name`, `expression name`. */
export function withoutAlias(items: Items): readonly [body: Items, alias: string | undefined] {
  const [before, last] = [items.at(-2), items.at(-1)];
  if (before === undefined || last?.kind !== 'name' || last.path.length > 1) return [items, undefined];
  if (wordOf(before) === 'AS') return [items.slice(0, -2), last.path[0]];
  return isOperand(before) ? [items.slice(0, -1), last.path[0]] : [items, undefined];
}
