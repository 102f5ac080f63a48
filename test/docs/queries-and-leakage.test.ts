/** docs/queries-and-leakage.md: its program sums and lists rows that the database cannot compare. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import type { Repository } from 'typeorm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openShop, type Shop } from '../typeorm/shop.js';
import { blocks, readDocument } from './document.js';

interface Payment {
  readonly payee: string;
}

interface Program {
  readonly Payment: { of(day: number, payee: string, amount: number): Payment; new (): Payment };
  sumOf(payments: Repository<Payment>, day: number): Promise<number>;
  listBy(payments: Repository<Payment>, sort: string, page: number): Promise<Payment[]>;
}

const folder = new URL('../../.cache/docs/', import.meta.url);
let program: Program;
let shop: Shop;

beforeAll(async () => {
  const [block] = blocks(readDocument('queries-and-leakage.md'), 'ts');
  const file = new URL('payments.ts', folder);
  await mkdir(folder, { recursive: true });
  await writeFile(file, block!.replace('fieldseal/typeorm', '../../src/typeorm/index.js'));
  program = (await import(/* @vite-ignore */ file.href)) as Program;
  shop = await openShop({ entities: [program.Payment] });
  const rows = [3, 1, 2].map((number) => program.Payment.of(1, `${'CAB'[number - 1]!}.`, number * 100));
  await shop.dataSource.manager.save(rows);
});
afterAll(async () => {
  await shop.close();
  await rm(folder, { recursive: true, force: true });
});

it('sums in the application', async () => {
  expect(await program.sumOf(shop.dataSource.getRepository(program.Payment), 1)).toBe(600);
  expect(await program.sumOf(shop.dataSource.getRepository(program.Payment), 2)).toBe(0);
});

it('lists by a derived column, and by nothing else than it names', async () => {
  const payments = shop.dataSource.getRepository(program.Payment);
  const payees = (await program.listBy(payments, 'payee', 0)).map(({ payee }) => payee);
  expect(payees).toEqual(['A.', 'B.', 'C.']);
  expect(await program.listBy(payments, 'day', 1)).toEqual([]);
  await expect(program.listBy(payments, 'amount', 0)).rejects.toThrow('day or payee');
});
