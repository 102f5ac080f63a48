/** Names in the database. */
import { text, withDefault, type OptionRule } from '../keys/options.js';

const DEFAULT_SCHEMA = 'fieldseal';

/** Shorter than PostgreSQL's 63 bytes, because names of channels and constraints are made from it. */
const SCHEMA_NAME = /^[a-z_][a-z0-9_]{0,39}$/;

/** The `schema` option. A name of this form may stand in SQL as it is, in double quotes. */
export const schemaRule: OptionRule<string> = withDefault(
  text('a schema name of 1 to 40 characters: a-z, 0-9 and _, no digit first', (name) =>
    SCHEMA_NAME.test(name),
  ),
  DEFAULT_SCHEMA,
);

/** The channel on which the trigger of this schema tells of revoked keys. */
export function revocationChannel(schema: string): string {
  return `${schema}_revoked`;
}
