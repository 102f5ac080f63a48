/** What the concurrency suites write, and what must be true of their tables afterwards. */
import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import type { AwsKmsOptions } from '../../src/kms/aws.js';
import { Card, Customer } from './entities.js';
import { KEKS, type Shop } from './shop.js';

export const kmsOf = ({ kms }: Shop): AwsKmsOptions => ({
  region: kms.region,
  endpoint: kms.endpoint,
  credentials: kms.credentials(),
  keks: KEKS,
});

const CELLS = [
  ['customers', 'name'],
  ['customers', 'phone'],
  ['customers', 'address'],
  ['cards', 'pan'],
  ['accounts', 'balance'],
  ['accounts', 'pan'],
] as const;

/** Asks the tables, without fieldseal, whether every cell is one and stands beside its fingerprint, of a key there is. */
export async function expectWholeTables({ database, keyDatabase }: Shop): Promise<void> {
  const keys = await keyDatabase.query("SELECT fingerprint FROM fieldseal.data_keys WHERE kind = 'data'");
  for (const [table, column] of CELLS) {
    const [counts] = await database.query(
      `SELECT count(*) FILTER (WHERE (cell IS NULL) <> (key IS NULL))::int AS half,
         count(*) FILTER (WHERE get_byte(cell, 0) <> 245 OR octet_length(cell) < 34)::int AS plain,
         count(*) FILTER (WHERE substring(cell FROM 3 FOR 16) <> uuid_send(key))::int AS swapped,
         count(*) FILTER (WHERE key <> ALL ($1::uuid[]))::int AS unknown
       FROM (SELECT ${column} AS cell, ${column}_key AS key FROM ${table}) AS cells`,
      [keys.map(({ fingerprint }) => fingerprint)],
    );
    expect({ table, column, ...counts }).toEqual({
      table,
      column,
      half: 0,
      plain: 0,
      swapped: 0,
      unknown: 0,
    });
  }
}

let lastPan = 4_000_000_000_000_000;
export const newPan = (): string => String(++lastPan);
export const newCard = (): Card => Object.assign(new Card(), { pan: newPan() });

export function newCustomer(): Customer {
  const cards = [newCard(), newCard()];
  return Object.assign(new Customer(), { name: `Ada ${randomUUID()}`, phone: '+44 20 1815', cards });
}
