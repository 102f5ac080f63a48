/** Columns of an encrypted field that an upsert of TypeORM 0.3 would set by text or by parameters, which nobody seals. */
import { QueryError } from '../errors.js';
import type { Family } from './column-types.js';
import { siblingsOf, type EncryptedColumn } from './encrypted-column.js';
import type { ExpressionMapInternals } from './internals.js';
import { clausesOf } from './sql-parts.js';
import { tokenizer, type Token } from './sql-tokens.js';
import { listOf } from './sql-words.js';

/** @returns A function that throws QueryError `ERR_QUERY_UNSUPPORTED` naming the field. */
export function unsealedWrites(
  family: Family,
): (columns: readonly EncryptedColumn[], map: ExpressionMapInternals) => void {
  const tokensOf = tokenizer(family);
  return (columns, { onConflict, onUpdate }) => {
    const set = [...(onUpdate?.columns ?? []), ...(onConflict ? targetsOf(tokensOf(onConflict)) : [])];
    if (set.length === 0) return;
    const names = new Set(set.map((name) => name.toLowerCase()));
    const column = columns.find((one) =>
      [one.cell, ...siblingsOf(one)].some(({ databaseName }) => names.has(databaseName.toLowerCase())),
    );
    if (column) throw refusal(column);
  };
}

/** `SET a = …, (b, c) = …`. */
function targetsOf(tokens: readonly Token[]): readonly string[] {
  return clausesOf(tokens)
    .filter(([word]) => word === 'SET')
    .flatMap(([, items]) => listOf(items))
    .flatMap(([target]) => (target?.kind === 'group' ? target.items : target ? [target] : []))
    .flatMap((token) => (token.kind === 'name' ? token.path.slice(-1) : []));
}

const refusal = ({ label, cell }: EncryptedColumn): QueryError =>
  new QueryError(
    'ERR_QUERY_UNSUPPORTED',
    `${label} is encrypted: what onConflict('… SET …') or orUpdate({ columns }) give it would be stored as it is. Name it in the ` +
      `list of orUpdate(['${cell.databaseName}'], […]), which writes the value of the row and everything beside its cell.`,
  );
