/** What the concurrency suites write, and what must be true of their tables afterwards. */
import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { formatFingerprint } from '../../src/cell/fingerprint.js';
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

/** Reads the tables without fieldseal: is every cell one, and does it stand beside its fingerprint, of a key there is? */
export async function expectWholeTables(shop: Shop): Promise<void> {
  const keys = await shop.keyDatabase.query(
    "SELECT fingerprint FROM fieldseal.data_keys WHERE kind = 'data'",
  );
  const known = new Set(keys.map(({ fingerprint }) => fingerprint));
  for (const [table, column] of CELLS) {
    const counts = { half: 0, plain: 0, swapped: 0, unknown: 0 };
    for (const row of await shop.rawRows(table)) {
      const [cell, key] = [row[column] as Buffer | null, row[`${column}_key`] as string | null];
      if (cell === null || key === null) {
        if (cell !== key) counts.half += 1;
        continue;
      }
      if (cell[0] !== 0xf5 || cell.length < 34) counts.plain += 1;
      if (formatFingerprint(cell, 2) !== key) counts.swapped += 1;
      if (!known.has(key)) counts.unknown += 1;
    }
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
