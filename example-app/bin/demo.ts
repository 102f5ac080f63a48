/** The main job, told in one page: entity fields are sealed, stored, found and opened, with their keys under a KMS. */
import 'reflect-metadata';
import { randomBytes } from 'node:crypto';
import { startPostgres } from '@fieldseal/test-support';
import { isFieldSealError, type FieldSeal } from 'fieldseal';
import { migrateKeyStore } from 'fieldseal/postgres';
import { startKmsEmulator } from 'fieldseal/testing';
import { attachFieldSeal } from 'fieldseal/typeorm';
import type { DataSource } from 'typeorm';
import { Card } from '../app/models/card.js';
import { Customer } from '../app/models/customer.js';
import { shopDataSource } from '../config/data-source.js';
import { shopFieldSeal } from '../config/field-seal.js';

const CUSTOMERS = 250;
const PAN = '4111111111111111';
const KEKS = ['alias/card-a', 'alias/card-b', 'alias/pii-a', 'alias/pii-b'];

/** What was started, in the order of starting; ended in the opposite order, on Ctrl-C too. */
const started: (() => Promise<unknown>)[] = [];
let ending: Promise<void> | undefined;

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    say('Interrupted', 'Everything that was started is stopped.');
    void end().then(() => process.exit(0));
  });
}

try {
  await main();
} catch (error) {
  // What fails after an interruption fails because things are being stopped.
  if (ending === undefined) throw error;
} finally {
  await end();
}

async function main(): Promise<void> {
  const [dataSource, seal] = await start();
  say('Save customers with their cards', `${CUSTOMERS} customers, each with a name, an address and a card.`);
  await dataSource.manager.save(customers(), { chunk: 100 });
  const card = await showStoredRow(dataSource);
  await showFound(dataSource, card);
  showCalls(seal);
  await showCopiedCell(dataSource, card);
  await showEditedCell(dataSource, card);
  await showRowsPerKey(dataSource);
  say('Done', 'Everything that was started is stopped now.');
}

async function start(): Promise<[DataSource, FieldSeal]> {
  say('Start', 'PostgreSQL and a local KMS, with four KEKs; keys and rows in two databases.');
  const postgres = await startPostgres();
  started.push(() => postgres.stop());
  const kms = await startKmsEmulator({ createKeys: KEKS });
  started.push(() => kms.close());

  const admin = shopDataSource(postgres.url);
  await admin.initialize();
  await admin.query('CREATE DATABASE shop');
  await admin.query('CREATE DATABASE keys');
  await admin.destroy();
  await migrateKeyStore({ connectionString: databaseUrl(postgres.url, 'keys') });

  const seal = await shopFieldSeal({
    keyStoreUrl: databaseUrl(postgres.url, 'keys'),
    kms: { region: kms.region, endpoint: kms.endpoint, credentials: kms.credentials() },
  });
  started.push(() => seal.close());
  const dataSource = attachFieldSeal(shopDataSource(databaseUrl(postgres.url, 'shop')), seal);
  await dataSource.initialize();
  started.push(() => dataSource.destroy());
  await dataSource.runMigrations();
  return [dataSource, seal];
}

async function showStoredRow(dataSource: DataSource): Promise<Card> {
  const card = await dataSource.manager.findOneByOrFail(Card, { pan: PAN });
  const row = await rawCard(dataSource, card.id);
  say('The row in the database', `of the card ${PAN}:`);
  print('pan      (cell)', `${row.pan.toString('hex')}, ${row.pan.length} bytes`);
  print('pan_key  (fingerprint)', row.pan_key);
  print('pan_bidx (blind index)', row.pan_bidx.toString('hex'));
  return card;
}

async function showFound(dataSource: DataSource, card: Card): Promise<void> {
  say('The entity, found by its card number', `where: { pan: '${PAN}' }, searched by blind index:`);
  const found = await dataSource.manager.findOneOrFail(Card, {
    where: { pan: PAN },
    relations: { customer: true },
  });
  print('pan', found.pan);
  print('customer', `${found.customer.name}, ${found.customer.address?.city ?? 'no address'}`);
  print('same card', String(found.id === card.id));
}

function showCalls(seal: FieldSeal): void {
  const { cellsSealed, cellsOpened, kmsCalls } = seal.stats();
  say('Cells and KMS calls', 'Keys come from a pool in memory, so cells cost no call:');
  print('cells sealed', String(cellsSealed));
  print('cells opened', String(cellsOpened));
  print(
    'KMS calls',
    `${Object.values(kmsCalls).reduce((sum, calls) => sum + calls, 0)}, all at start: ${JSON.stringify(kmsCalls)}`,
  );
}

async function showCopiedCell(dataSource: DataSource, card: Card): Promise<void> {
  say('A cell copied to another row', 'The cell is bound to the id of its row:');
  const other = await dataSource.manager.findOneByOrFail(Card, { pan: testPan(1) });
  const before = await rawCard(dataSource, other.id);
  const stolen = await rawCard(dataSource, card.id);
  await dataSource.query('UPDATE cards SET pan = $1, pan_key = $2 WHERE id = $3', [
    stolen.pan,
    stolen.pan_key,
    other.id,
  ]);
  await refused(() => dataSource.manager.findOneBy(Card, { id: other.id }));
  await dataSource.query('UPDATE cards SET pan = $1, pan_key = $2 WHERE id = $3', [
    before.pan,
    before.pan_key,
    other.id,
  ]);
}

async function showEditedCell(dataSource: DataSource, card: Card): Promise<void> {
  say('A row edited by hand', 'One bit of the cell is flipped:');
  const { pan } = await rawCard(dataSource, card.id);
  const edited = Buffer.from(pan);
  edited[edited.length - 1]! ^= 1;
  await dataSource.query('UPDATE cards SET pan = $1 WHERE id = $2', [edited, card.id]);
  await refused(() => dataSource.manager.findOneBy(Card, { id: card.id }));
  await dataSource.query('UPDATE cards SET pan = $1 WHERE id = $2', [pan, card.id]);
}

async function showRowsPerKey(dataSource: DataSource): Promise<void> {
  say('Rows per key', 'SELECT pan_key, count(*) FROM cards GROUP BY pan_key:');
  const rows = await dataSource.query<{ pan_key: string; count: string }[]>(
    'SELECT pan_key, count(*) FROM cards GROUP BY pan_key ORDER BY pan_key',
  );
  for (const { pan_key, count } of rows) print(pan_key, `${count} rows`);
}

async function refused(read: () => Promise<unknown>): Promise<void> {
  try {
    await read();
  } catch (error) {
    if (!isFieldSealError(error)) throw error;
    print('refused', `${error.code}: ${error.message}`);
    return;
  }
  throw new Error('The changed row was not refused.');
}

interface RawCard {
  readonly pan: Buffer;
  readonly pan_key: string;
  readonly pan_bidx: Buffer;
}

async function rawCard(dataSource: DataSource, id: string): Promise<RawCard> {
  const [row] = await dataSource.query<RawCard[]>('SELECT pan, pan_key, pan_bidx FROM cards WHERE id = $1', [
    id,
  ]);
  if (!row) throw new Error('The card is gone.');
  return row;
}

function customers(): Customer[] {
  return Array.from({ length: CUSTOMERS }, (_, i) => {
    const card = Object.assign(new Card(), { pan: i === 0 ? PAN : testPan(i), expires: '12/29' });
    return Object.assign(new Customer(), {
      name: `Customer ${randomBytes(4).toString('hex')}`,
      address: { street: `${i + 1} Test Street`, city: 'Warsaw' },
      cards: [card],
    });
  });
}

/** A number in the test range of a card brand, with its Luhn digit. */
function testPan(n: number): string {
  const digits = `400000${String(n).padStart(9, '0')}`;
  const sum = Array.from(digits, Number)
    .reverse()
    .reduce((total, digit, i) => {
      const doubled = digit * (i % 2 === 0 ? 2 : 1);
      return total + (doubled > 9 ? doubled - 9 : doubled);
    }, 0);
  return `${digits}${(10 - (sum % 10)) % 10}`;
}

function databaseUrl(server: string, database: string): string {
  const url = new URL(server);
  url.pathname = `/${database}`;
  return url.href;
}

function say(title: string, text: string): void {
  console.log(`\n${title}\n  ${text}`);
}

function print(name: string, value: string): void {
  console.log(`  ${name.padEnd(24)} ${value}`);
}

function end(): Promise<void> {
  ending ??= (async () => {
    for (const stop of started.reverse()) await stop();
  })();
  return ending;
}
