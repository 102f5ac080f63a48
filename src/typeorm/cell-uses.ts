/**
 * A statement, read for places where the database would compute with cells or compare them. Cells differ at every sealing, so
 * whatever comes out of that is wrong. A cell may be selected as it is, counted, and tested for NULL.
 */
import type { EncryptedColumn } from './encrypted-column.js';
import { allOf, cellOf, cteNamed, newScope, resolve, tableOf, type Output, type Scope } from './sql-scope.js';
import {
  clausesOf,
  isBehindValues,
  isOwnValue,
  partsOfFrom,
  withoutHints,
  withoutShortForms,
} from './sql-parts.js';
import { UNKNOWN, type SqlTables } from './sql-tables.js';
import type { Group, Token } from './sql-tokens.js';
import {
  argumentsOf,
  isColumnAt,
  isNullTest,
  isSetOperation,
  isStatement,
  isSymbol,
  listOf,
  splitAt,
  withoutAlias,
  withoutBrackets,
  withoutModifiers,
  wordOf,
} from './sql-words.js';

/** Where cells are of no use. */
export type Place =
  'where' | 'join' | 'expression' | 'distinct' | 'order by' | 'group by' | 'having' | 'set' | 'union';

/** What every reader is given along. */
export interface Reading {
  readonly tables: Pick<SqlTables, 'find'>;
  readonly refuse: (column: EncryptedColumn, place: Place) => never;
}

type Items = readonly Token[];

/**
 * Refuses the first use of a cell that is none of those.
 * @returns What the statement gives, column by column.
 */
export function readStatement(reading: Reading, items: Items): readonly Output[] {
  return read(reading, items, newScope());
}

function read(reading: Reading, items: Items, outer: Scope): readonly Output[] {
  const [only] = items;
  if (items.length === 1 && only?.kind === 'group') return read(reading, only.items, outer);
  const scope = newScope(outer);
  const body = wordOf(only) === 'WITH' ? readCtes(reading, items.slice(1), scope) : items;
  if (wordOf(body[0]) === 'INSERT') return readInsert(reading, body.slice(1), scope);
  if (wordOf(body[0]) === 'MERGE') return readMerge(reading, body.slice(1), scope);
  const [first, ...others] = splitAt(body, isSetOperation);
  let outputs = readBranch(reading, first!, newScope(scope));
  for (const branch of others) {
    const isAll = wordOf(branch[0]) === 'ALL';
    const select = isAll || wordOf(branch[0]) === 'DISTINCT' ? branch.slice(1) : branch;
    outputs = readBranch(reading, select, newScope(scope), outputs);
    if (!isAll) refuseAny(reading, outputs, 'union');
  }
  return outputs;
}

function refuseAny(reading: Reading, outputs: readonly Output[], place: Place): void {
  for (const { cell } of outputs) if (cell) reading.refuse(cell, place);
}

/** `name (columns) AS NOT MATERIALIZED (statement), …`. Gives what follows. */
function readCtes(reading: Reading, items: Items, scope: Scope): Items {
  const isRecursive = wordOf(items[0]) === 'RECURSIVE';
  let name = '';
  let columns: Items = [];
  for (const [at, token] of items.entries()) {
    if (token.kind === 'group' && isStatement(token.items)) {
      // The parts behind the first one read the rows that it gives.
      const [first] = splitAt(token.items, isSetOperation);
      if (isRecursive) scope.ctes.set(name, tableOf(read(reading, first!, scope), columns));
      scope.ctes.set(name, tableOf(read(reading, token.items, scope), columns));
      columns = [];
      if (!isSymbol(items[at + 1], ',')) return items.slice(at + 1);
    } else if (token.kind === 'group') columns = token.items;
    else if (token.kind === 'name' && !['RECURSIVE', 'AS', 'NOT', 'MATERIALIZED'].includes(token.word))
      name = token.path.join('.');
  }
  return [];
}

/**
 * Names columns to write them. What is selected for its values, or among them, is a statement of its own; what it does with
 * rows that are there already, and what it returns, is read as that of an UPDATE.
 */
function readInsert(reading: Reading, items: Items, outer: Scope): readonly Output[] {
  const end = items.findIndex((_, at) => isBehindValues(items, at));
  const own = end < 0 ? items : items.slice(0, end);
  const at = own.findIndex((token) => ['SELECT', 'WITH', 'TABLE'].includes(wordOf(token)));
  readExpression(reading, at < 0 ? own : own.slice(0, at), outer, 'set');
  if (at >= 0) refuseAny(reading, read(reading, own.slice(at), outer), 'set');
  if (end < 0) return [];
  const scope = newScope(outer);
  const table = own.slice(own.findIndex((token) => wordOf(token) === 'INTO') + 1);
  readTable(reading, table.slice(0, table.findIndex(isBehindTable)), scope);
  scope.sources.push(...scope.sources.map(({ table }) => ({ names: ['excluded'], table })));
  return readBranch(reading, items.slice(end), scope);
}

const isBehindTable = (token: Token): boolean =>
  token.kind === 'group' || ['VALUES', 'DEFAULT', 'SELECT', 'WITH', 'TABLE'].includes(wordOf(token));

/** `INTO table USING table ON condition WHEN … THEN …`: writes cells and values past their fields wherever it names one. */
function readMerge(reading: Reading, items: Items, outer: Scope): readonly Output[] {
  const scope = newScope(outer);
  const end = items.findIndex((token) => wordOf(token) === 'RETURNING');
  const [, target = [], source = [], ...conditions] = splitAt(
    end < 0 ? items : items.slice(0, end),
    (token) => ['INTO', 'USING', 'ON'].includes(wordOf(token)),
  );
  for (const table of [target, source]) readTable(reading, table, scope);
  for (const condition of conditions) readExpression(reading, condition, scope, 'expression');
  return end < 0 ? [] : readBranch(reading, items.slice(end), scope);
}

/**
 * One SELECT, UPDATE, DELETE or VALUES.
 * @param united What the parts of a union before this one give.
 */
function readBranch(
  reading: Reading,
  branch: Items,
  scope: Scope,
  united?: readonly Output[],
): readonly Output[] {
  const items = withoutShortForms(branch);
  const [first] = items;
  const clauses = clausesOf(items);
  const own =
    first?.kind === 'group' ? read(reading, first.items, scope) : readSelected(reading, clauses, scope);
  const outputs = united?.map((output, i) => ({ ...output, cell: output.cell ?? own[i]?.cell })) ?? own;
  for (const [word, rest] of clauses) CLAUSES.get(word)?.({ reading, scope, outputs }, rest);
  return outputs;
}

/** Clauses that name tables. */
const TABLES: ReadonlySet<string> = new Set(['FROM', 'UPDATE', 'DELETE', 'USING']);

function readSelected(
  reading: Reading,
  clauses: ReturnType<typeof clausesOf>,
  scope: Scope,
): readonly Output[] {
  for (const [word, items] of clauses) if (TABLES.has(word)) readFrom(reading, items, scope);
  const rows = clauses.find(([word]) => word === 'VALUES');
  if (rows) return readRows(reading, rows[1], scope);
  const select = clauses.find(([word]) => word === 'SELECT' || word === 'RETURNING');
  return select ? readSelects(reading, select[1], scope) : [];
}

/** `(a, b), (c, d)`. */
function readRows(reading: Reading, items: Items, scope: Scope): readonly Output[] {
  const rows = items
    .filter((token) => token.kind === 'group')
    .map((row) => listOf(row.items).flatMap((one) => readSelect(reading, one, scope)));
  const width = Math.max(0, ...rows.map((row) => row.length));
  return Array.from({ length: width }, (_, i) => ({
    name: `column${i + 1}`,
    cell: rows.find((row) => row[i]?.cell)?.[i]?.cell,
  }));
}

interface Clause {
  readonly reading: Reading;
  readonly scope: Scope;
  readonly outputs: readonly Output[];
}

type ReadClause = (clause: Clause, items: Items) => void;

/** How the clauses are read that follow tables and columns. */
const CLAUSES: ReadonlyMap<string, ReadClause> = new Map<string, ReadClause>([
  ['WHERE', (clause, items) => readExpression(clause.reading, items, withOutputs(clause), 'where')],
  ['WINDOW', ({ reading, scope }, items) => readExpression(reading, items, scope, 'expression')],
  ['SET', readSet],
  ['GROUP', (clause, items) => readKeys(clause, items, 'group by')],
  ['HAVING', (clause, items) => readExpression(clause.reading, items, withOutputs(clause), 'having')],
  ['ORDER', (clause, items) => readKeys(clause, items, 'order by')],
  ['LIMIT', readBound],
  ['OFFSET', readBound],
]);

/** Tables are collected before conditions are read. */
function readFrom(reading: Reading, items: Items, scope: Scope): void {
  const parts = partsOfFrom(items);
  for (const { table } of parts) readTable(reading, table, scope);
  for (const { condition } of parts) readExpression(reading, condition, scope, 'join');
  if (items.some((token) => wordOf(token) === 'NATURAL')) refuseNatural(reading, scope);
}

/** A natural join compares all columns of one name. */
function refuseNatural(reading: Reading, { sources }: Scope): void {
  for (const { table } of sources) {
    for (const [name, cell] of table.cells) {
      const isShared = sources.some((other) => other.table !== table && other.table.columns?.has(name));
      if (isShared) reading.refuse(cell, 'join');
    }
  }
}

function readTable(reading: Reading, items: Items, scope: Scope): void {
  const [table, ...rest] = withoutHints(items);
  const alias = rest.flatMap((token) => (token.kind === 'name' ? token.path.slice(0, 1) : []));
  const columns = rest.find((token) => token.kind === 'group')?.items ?? [];
  if (table?.kind === 'group' && isStatement(table.items)) {
    scope.sources.push({ names: alias, table: tableOf(read(reading, table.items, scope), columns) });
  } else if (table?.kind === 'group') {
    readFrom(reading, table.items, scope);
  } else if (table?.kind === 'name' && rest[0]?.kind === 'group') {
    // A function that gives rows, whose columns nobody knows.
    readExpression(reading, rest[0].items, scope, 'expression');
    scope.sources.push({ names: alias, table: UNKNOWN });
  } else if (table?.kind === 'name') {
    const { path } = table;
    const names = alias.length > 0 ? alias : [path.at(-1)!, path.join('.')];
    scope.sources.push({ names, table: cteNamed(path, scope) ?? reading.tables.find(path) });
  }
}

function readSelects(reading: Reading, selected: Items, scope: Scope): readonly Output[] {
  const items = withoutModifiers(selected);
  const isDistinct = ['DISTINCT', 'DISTINCTROW'].includes(wordOf(items[0]));
  const isOn = isDistinct && wordOf(items[1]) === 'ON' && items[2]?.kind === 'group';
  if (isOn) readExpression(reading, items.slice(2, 3), scope, 'distinct');
  const outputs = listOf(items.slice(isOn ? 3 : isDistinct ? 1 : 0)).flatMap((one) =>
    readSelect(reading, one, scope),
  );
  if (isDistinct && !isOn) refuseIndistinct(reading, outputs, 'distinct');
  return outputs;
}

/** Rows with their primary key differ whatever their cells are, and those with the same key have the same cells. */
function refuseIndistinct(reading: Reading, outputs: readonly Output[], place: Place): void {
  for (const { cell, found } of outputs) {
    if (cell === undefined) continue;
    const { key } = found?.source.table ?? UNKNOWN;
    const isSelected = (name: string): boolean =>
      outputs.some((other) => other.found?.source === found?.source && other.found?.name === name);
    if (key.length === 0 || !key.every(isSelected)) reading.refuse(cell, place);
  }
}

function readSelect(reading: Reading, items: Items, scope: Scope): readonly Output[] {
  const [body, alias] = withoutAlias(items);
  const [only] = body;
  const name = alias ?? (only?.kind === 'name' ? only.path.at(-1) : undefined);
  if (body.length === 1 && isSymbol(only, '*')) return allOf([], scope);
  if (body.length === 1 && only?.kind === 'name') {
    if (name === '*') return allOf(only.path.slice(0, -1), scope);
    const found = isColumnAt(body, 0) ? resolve(only.path, scope) : undefined;
    return [{ name, cell: cellOf(found), found }];
  }
  if (body.length === 1 && only?.kind === 'group') {
    if (isStatement(only.items)) return [{ name, cell: read(reading, only.items, scope)[0]?.cell }];
    if (only.items.length === 1)
      return readSelect(reading, only.items, scope).map((one) => ({ ...one, name }));
  }
  readExpression(reading, body, scope, 'expression');
  return [{ name: alias, cell: undefined }];
}

/** Anything that the database computes. */
function readExpression(reading: Reading, items: Items, scope: Scope, place: Place): void {
  items.forEach((token, at) => {
    if (token.kind === 'group') readGroup(reading, items, at, scope, place);
    if (token.kind !== 'name') return;
    const cell = cellAt(items, at, scope);
    if (cell && !isNullTest(items, at + 1)) reading.refuse(cell, place);
  });
}

const cellAt = (items: Items, at: number, scope: Scope): EncryptedColumn | undefined => {
  const token = items[at];
  return token?.kind === 'name' && isColumnAt(items, at) ? cellOf(resolve(token.path, scope)) : undefined;
};

/** A sub-query, the arguments of a function, or a part of an expression. */
function readGroup(reading: Reading, items: Items, at: number, scope: Scope, place: Place): void {
  const { items: inner } = items[at] as Group;
  const before = items[at - 1];
  const name = wordOf(before);
  const isTested = name === 'ISNULL' || isNullTest(items, at + 1);
  if (isStatement(inner)) {
    const outputs = read(reading, inner, scope);
    if (name !== 'EXISTS' && !isTested) refuseAny(reading, outputs, place);
  } else if (name === 'COUNT') {
    readCounted(reading, inner, scope, place);
  } else if (COUNTS_OF_NULL.has(name)) {
    for (const argument of listOf(inner))
      if (!isAlone(argument)) readExpression(reading, argument, scope, place);
  } else if (name !== 'COLUMNS' && !(isTested && isAlone(withoutBrackets(inner)))) {
    for (const argument of argumentsOf(name, inner)) readExpression(reading, argument, scope, place);
  }
}

/** Functions that tell how many of their arguments are NULL, or are not. */
const COUNTS_OF_NULL: ReadonlySet<string> = new Set(['NUM_NULLS', 'NUM_NONNULLS']);

const isAlone = ([only, ...others]: Items): boolean => only?.kind === 'name' && others.length === 0;

/** A count of cells is one of rows that have them; of different cells, only where each has the key of its row beside it. */
function readCounted(reading: Reading, items: Items, scope: Scope, place: Place): void {
  const [first] = items;
  if (wordOf(first) !== 'DISTINCT') {
    if (items.length > 1 || !cellAt(items, 0, scope)) readExpression(reading, items, scope, place);
    return;
  }
  const [, only] = items;
  const counted = items.length === 2 && only?.kind === 'group' ? only.items : items.slice(1);
  const outputs = counted.flatMap((token, at): Output[] => {
    if (token.kind !== 'name' || !isColumnAt(counted, at)) return [];
    const found = resolve(token.path, scope);
    return [{ name: undefined, cell: cellOf(found), found }];
  });
  refuseIndistinct(reading, outputs, 'distinct');
  const groups = counted.filter((token) => token.kind === 'group');
  readExpression(reading, groups, scope, place);
}

/** What may stand behind the key of an order. */
const DIRECTIONS: ReadonlySet<string> = new Set(['ASC', 'DESC', 'NULLS', 'FIRST', 'LAST']);

/** Keys may be numbers and names of selected columns. ORDER BY takes a name for that first, GROUP BY for a column. */
function readKeys(clause: Clause, items: Items, place: 'order by' | 'group by'): void {
  const { reading, scope, outputs } = clause;
  const keys: Output[] = [];
  for (const key of listOf(items.slice(1))) {
    const end = key.findIndex((token, at) => at > 0 && DIRECTIONS.has(wordOf(token)));
    const body = withoutBrackets(end < 0 ? key : key.slice(0, end));
    const [only] = body;
    const numbered = body.length === 1 && only?.kind === 'value' ? outputs[Number(only.text) - 1] : undefined;
    const named = body.length === 1 ? keyNamed(only, outputs, scope, place) : undefined;
    const output = numbered ?? named;
    if (output) keys.push(output);
    else readExpression(reading, body, withOutputs(clause), place);
  }
  // A group by the primary key has one row, whatever else it is grouped by.
  if (place === 'group by') refuseIndistinct(reading, keys, place);
  else refuseAny(reading, keys, place);
}

function keyNamed(
  token: Token | undefined,
  outputs: readonly Output[],
  scope: Scope,
  place: 'order by' | 'group by',
): Output | undefined {
  if (token?.kind !== 'name') return undefined;
  const found = resolve(token.path, scope);
  const column = found && { name: undefined, cell: cellOf(found), found };
  const output = outputNamed(token, outputs);
  return place === 'group by' ? (column ?? output) : (output ?? column);
}

function outputNamed(token: Token | undefined, outputs: readonly Output[]): Output | undefined {
  return token?.kind === 'name' && token.path.length === 1
    ? outputs.find(({ name }) => name === token.path[0])
    : undefined;
}

/** SQLite knows the names of selected columns in every clause, MySQL in most: behind those of columns. */
function withOutputs({ scope, outputs }: Clause): Scope {
  const selected = { names: [], table: tableOf(outputs, []) };
  return { ...scope, outer: { ...newScope(scope.outer), sources: [selected] } };
}

/** `column = expression, (columns) = (expressions)`. */
function readSet({ reading, scope }: Clause, items: Items): void {
  for (const one of listOf(items)) if (!isOwnValue(one)) readExpression(reading, one.slice(1), scope, 'set');
}

/** Only a sub-query in it may name columns. */
function readBound({ reading, scope }: Clause, items: Items): void {
  readExpression(
    reading,
    items.filter((token) => token.kind === 'group'),
    scope,
    'expression',
  );
}
