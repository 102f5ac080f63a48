/** The part of sql.js that the tests call; the package brings no types. */
declare module 'sql.js' {
  export interface Statement {
    step(): boolean;
    getAsObject(): Record<string, unknown>;
    free(): void;
  }
  export interface Database {
    prepare(sql: string, values?: readonly unknown[]): Statement;
    close(): void;
  }
  export default function initSqlJs(): Promise<{ Database: new () => Database }>;
}
