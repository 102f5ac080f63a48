/** What is known about the tables that a statement names: which of their columns hold cells. */
import type { EntityMetadata } from 'typeorm';
import type { ColumnsOf, EncryptedColumn } from './encrypted-column.js';

/** A table of the database, or what a sub-query gives. All names are in lower case. */
export interface Table {
  readonly cells: ReadonlyMap<string, EncryptedColumn>;
  /** Undefined where others may be there. */
  readonly columns: ReadonlySet<string> | undefined;
  /** Columns of the primary key; empty where none is known. */
  readonly key: readonly string[];
}

export const UNKNOWN: Table = { cells: new Map(), columns: undefined, key: [] };

export class SqlTables {
  readonly #metadatas: readonly EntityMetadata[];
  readonly #columnsOf: ColumnsOf;
  readonly #tables = new Map<string, Table>();
  /** The name of any table with cells; every statement that uses one has it somewhere. */
  readonly #mention: RegExp | undefined;

  constructor(metadatas: readonly EntityMetadata[], columnsOf: ColumnsOf) {
    this.#metadatas = metadatas;
    this.#columnsOf = columnsOf;
    const encrypted = metadatas.filter((metadata) => columnsOf(metadata).length > 0);
    const names = [...new Set(encrypted.map(({ tableName }) => escaped(tableName)))];
    if (names.length > 0)
      this.#mention = new RegExp(`(?<![\\p{L}\\p{N}_])(?:${names.join('|')})(?![\\p{L}\\p{N}_])`, 'iu');
  }

  mayUseCells(sql: string): boolean {
    return this.#mention?.test(sql) === true;
  }

  /** @param path With or without schema and database. */
  find(path: readonly string[]): Table {
    const name = path.join('.');
    const known = this.#tables.get(name);
    if (known) return known;
    const entities = this.#named(path);
    if (entities.length === 0) return UNKNOWN;
    const table = this.#tableOf(entities);
    this.#tables.set(name, table);
    return table;
  }

  /** Several classes may share a table. A name without its schema is that of the table which has none, if there is one. */
  #named(path: readonly string[]): readonly EntityMetadata[] {
    const name = path.join('.');
    const candidates = this.#metadatas.filter(({ tableName }) => tableName.toLowerCase() === path.at(-1));
    const exact = candidates.filter(({ tablePath }) => tablePath.toLowerCase() === name);
    return exact.length > 0 ? exact : candidates;
  }

  #tableOf(entities: readonly EntityMetadata[]): Table {
    const all = entities.flatMap((metadata) => metadata.columns);
    const stored = new Set(all.map(nameOf));
    // Fragments may name properties: TypeORM puts columns in the place of those that it sees. A column of that name comes first.
    const isFree = (path: string): boolean => !stored.has(path);
    const cells = entities
      .flatMap((metadata) => this.#columnsOf(metadata))
      .flatMap((column) =>
        [nameOf(column.cell), ...[pathOf(column.cell)].filter(isFree)].map((name) => [name, column] as const),
      );
    const columns = [...stored, ...all.map(pathOf)];
    const key = entities[0]!.primaryColumns.map(({ databaseName }) => databaseName.toLowerCase());
    return { cells: new Map(cells), columns: new Set(columns), key };
  }
}

type Column = EntityMetadata['columns'][number];

const nameOf = ({ databaseName }: Column): string => databaseName.toLowerCase();
const pathOf = ({ propertyPath }: Column): string => propertyPath.toLowerCase();

const escaped = (name: string): string => name.replaceAll(/[.*+?^${}()|[\]\\]/gu, '\\$&');
