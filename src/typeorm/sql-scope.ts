/** What the names in a statement stand for: its tables and theirs, those of sub-queries, and those around a sub-query. */
import type { EncryptedColumn } from './encrypted-column.js';
import type { Table } from './sql-tables.js';
import type { Token } from './sql-tokens.js';

/** A table in the FROM of a statement. */
export interface Source {
  /** Its alias; without one its name, alone and with what stands before it. */
  readonly names: readonly string[];
  readonly table: Table;
}

export interface Scope {
  readonly sources: Source[];
  /** Common table expressions. */
  readonly ctes: Map<string, Table>;
  readonly outer: Scope | undefined;
}

/** A column of one of the tables. */
export interface Found {
  readonly source: Source;
  readonly name: string;
}

/** A selected column. */
export interface Output {
  /** Undefined where the database makes one up. */
  readonly name: string | undefined;
  readonly cell: EncryptedColumn | undefined;
  /** Set for a column as it is. */
  readonly found?: Found | undefined;
}

export const newScope = (outer?: Scope): Scope => ({ sources: [], ctes: new Map(), outer });

/** A whole row stands for the first of its cells. */
export function cellOf(found: Found | undefined): EncryptedColumn | undefined {
  if (found === undefined) return undefined;
  const { cells } = found.source.table;
  return found.name === WHOLE_ROW ? cells.values().next().value : cells.get(found.name);
}

const WHOLE_ROW = '*';

/**
 * The nearest table wins. A name that is nobody's column may be that of a table, which stands for its rows. Where a table is
 * named that was not found, the statement has something that is not understood: better a cell too much than one too few.
 */
export function resolve(path: readonly string[], scope: Scope): Found | undefined {
  return (
    columnNamed(path, scope) ??
    (path.length === 1 ? rowNamed(path[0]!, scope) : cellNamed(path.at(-1)!, scope))
  );
}

const holding = (scope: Scope | undefined, holds: (source: Source) => boolean): Source | undefined =>
  scope && (scope.sources.find(holds) ?? holding(scope.outer, holds));

function rowNamed(name: string, scope: Scope): Found | undefined {
  const source = holding(scope, ({ names }) => names.includes(name));
  return source && { source, name: WHOLE_ROW };
}

function cellNamed(name: string, scope: Scope): Found | undefined {
  const source = holding(scope, ({ table }) => table.cells.has(name));
  return source && { source, name };
}

/** A bare name behind a table that nothing is known about is taken for a column of that. */
function columnNamed(path: readonly string[], scope: Scope | undefined): Found | undefined {
  if (scope === undefined) return undefined;
  const { sources, outer } = scope;
  if (path.length > 1) return inNamed(path, sources) ?? columnNamed(path, outer);
  const name = path[0]!;
  const holders = sources.filter(({ table }) => table.columns?.has(name) ?? table.cells.has(name));
  const source = holders.find(({ table }) => table.cells.has(name)) ?? holders[0];
  if (source) return { source, name };
  return sources.some(({ table }) => table.columns === undefined) ? undefined : columnNamed(path, outer);
}

/** By `alias.column`, `table.column`, `schema.table.column`, `alias.property.of.embedded`. */
function inNamed(path: readonly string[], sources: readonly Source[]): Found | undefined {
  for (let length = 1; length < path.length; length++) {
    const qualifier = path.slice(0, length).join('.');
    const name = path.slice(length).join('.');
    // Names in quotes may differ in case alone: of two such tables, that with the cell.
    const named = sources.filter(({ names }) => names.includes(qualifier));
    const source = named.find(({ table }) => table.cells.has(name)) ?? named[0];
    if (source) return { source, name };
  }
  return undefined;
}

/** `*` or `alias.*`. */
export function allOf(path: readonly string[], { sources }: Scope): readonly Output[] {
  const chosen = path.length === 0 ? sources : sources.filter(({ names }) => names.includes(path.join('.')));
  return chosen.flatMap((source): Output[] => {
    const { columns, cells } = source.table;
    if (columns === undefined) return [{ name: '*', cell: undefined }];
    return [...columns].map((name) => ({ name, cell: cells.get(name), found: { source, name } }));
  });
}

/** The table that a sub-query makes. `columns` are the names that it is given behind its alias, if any. */
export function tableOf(outputs: readonly Output[], columns: readonly Token[]): Table {
  const given = columns.flatMap((token) => (token.kind === 'name' ? token.path.slice(-1) : []));
  const named = outputs.map(({ name, cell }, i) => ({ name: given[i] ?? name, cell }));
  const isWhole = named.every(({ name }) => name !== '*');
  return {
    cells: new Map(named.flatMap(({ name, cell }) => (name !== undefined && cell ? [[name, cell]] : []))),
    columns: isWhole ? new Set(named.flatMap(({ name }) => name ?? [])) : undefined,
    key: [],
  };
}

export function cteNamed(path: readonly string[], scope: Scope | undefined): Table | undefined {
  if (scope === undefined || path.length > 1) return undefined;
  return scope.ctes.get(path[0]!) ?? cteNamed(path, scope.outer);
}
