/** What the cases of the suite have in common: rows to write, and what must hold for a stored one. */
import assert from 'node:assert/strict';
import { randomInt, randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { isFieldSealError, type ErrorCode } from '../../errors.js';
import type { CardRow, CustomerRow, OrmCase, OrmFixture, OrmTable } from './orm-under-test.js';

const MARKER = 0xf5;

/** A case with tables of its own, which are closed after it. */
export function ormCase(row: number, name: string, check: (orm: OrmFixture) => Promise<void>): OrmCase {
  return {
    row,
    name,
    async run(make) {
      const orm = await make();
      try {
        await check(orm);
      } finally {
        await orm.close();
      }
    },
  };
}

/** The same case for tables that an ORM which cannot write loaded objects back does not have. */
export function saveCase(
  row: number,
  name: string,
  check: (orm: OrmFixture, save: Saves) => Promise<void>,
): OrmCase {
  return ormCase(row, name, async (orm) => {
    const { customers, cards } = orm;
    if (customers.save && cards.save) await check(orm, { customer: customers.save, card: cards.save });
  });
}

export interface Saves {
  customer(row: CustomerRow): Promise<CustomerRow>;
  card(row: CardRow): Promise<CardRow>;
}

export const newPan = (): string => `4${Array.from({ length: 15 }, () => randomInt(10)).join('')}`;

export const newCard = (pan = newPan()): CardRow => ({ id: randomUUID(), note: null, pan });

export const newCustomer = (name: string): CustomerRow => ({
  id: randomUUID(),
  status: 'new',
  name,
  phone: '+44 20 7946 0000',
  address: { street: "12 St James's Square" },
});

/** The stored field is a cell that hides its value, and its sibling names the key that the cell names. */
export async function assertSealed<T extends { id: unknown }>(
  table: OrmTable<T>,
  id: unknown,
  field: string,
  plaintext: string,
): Promise<void> {
  const row = await table.raw(id);
  assert.ok(row, 'the row was expected to be stored');
  const cell = row[field];
  assert.ok(Buffer.isBuffer(cell) && cell[0] === MARKER, `${field} is no cell`);
  assert.equal(cell.includes(plaintext), false);
  assert.equal(String(row[`${field}_key`]).replaceAll('-', ''), cell.subarray(2, 18).toString('hex'));
}

export async function rejectsWith(code: ErrorCode, action: Promise<unknown>): Promise<void> {
  await assert.rejects(action, (error) => {
    assert.ok(isFieldSealError(error), `expected ${code}, got ${String(error)}`);
    assert.equal(error.code, code);
    return true;
  });
}

/** No form in which a log or an error could show the value. */
export function assertHidden(where: string, value: unknown, plaintext: string): void {
  const text =
    typeof value === 'string'
      ? value
      : inspect(value, { depth: 12, showHidden: true, maxStringLength: null, maxArrayLength: null });
  const bytes = Buffer.from(plaintext);
  for (const form of [plaintext, bytes.toString('hex'), bytes.toString('base64').replace(/=+$/u, '')]) {
    assert.equal(text.includes(form), false, `${where} shows a plaintext`);
  }
}

export const updatesIn = (sent: readonly string[]): readonly string[] =>
  sent.filter((line) => /^\s*UPDATE\b/iu.test(line));
