/** A numbered step of the tables. Published steps never change; a change is a new step. */
export interface Migration {
  /** 1, 2, 3, … */
  readonly version: number;
  readonly name: string;
  /** Whether an older release of the package stops working with the tables once this step has run. */
  readonly breaking: boolean;
  /** Statements, run in one transaction. `schema` is a checked name. */
  readonly sql: (schema: string) => string;
}
