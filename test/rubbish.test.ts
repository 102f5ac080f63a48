/** Every public function, called with rubbish: what comes out has a code. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isFieldSealError } from '../src/errors.js';
import * as main from '../src/index.js';
import { awsKms } from '../src/kms/aws.js';
import { localKeks } from '../src/kms/local/local-keks.js';
import * as nestjs from '../src/nestjs/index.js';
import * as postgres from '../src/store/postgres.js';
import * as typeorm from '../src/typeorm/index.js';
import { openBench, PURPOSE, type Bench } from './keys/seal-fixture.js';

type Anything = (...args: unknown[]) => unknown;

const RUBBISH: readonly (readonly [string, unknown])[] = [
  ['undefined', undefined],
  ['null', null],
  ['a number', 7],
  ['NaN', NaN],
  ['a bigint', 7n],
  ['a symbol', Symbol('secret')],
  ['an empty string', ''],
  ['a string', 'rubbish'],
  ['a lone surrogate', '\ud800'],
  ['a list', [null]],
  ['an object', { nothing: 'secret' }],
  ['an object without prototype', Object.create(null)],
  ['a function', () => null],
  ['bytes', Buffer.from('secret')],
  ['a date that is none', new Date(NaN)],
];

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.seal.close());

/** By name, the calls with rubbish in one place and sense in the others. */
const CALLS: Readonly<Record<string, (rubbish: unknown) => unknown>> = {
  createFieldSeal: main.createFieldSeal as Anything,
  keyStoreSource: main.keyStoreSource as Anything,
  kmsSource: main.kmsSource as Anything,
  publicKeySource: main.publicKeySource as Anything,
  awsKms: awsKms as Anything,
  localKeks: localKeks as Anything,
  postgresKeyStore: postgres.postgresKeyStore as Anything,
  migrateKeyStore: postgres.migrateKeyStore as Anything,
  printMigrations: postgres.printMigrations as Anything,
  'attachFieldSeal, data source': (it) => typeorm.attachFieldSeal(it as never, bench.seal),
  'attachFieldSeal, seal': (it) => typeorm.attachFieldSeal({} as never, it as never),
  Encrypted: typeorm.Encrypted as Anything,
  'encryptedColumns, property': (it) => typeorm.encryptedColumns(it as never, { purpose: PURPOSE }),
  'encryptedColumns, options': (it) => typeorm.encryptedColumns('v', it as never),
  'openRaw, data source': (it) => typeorm.openRaw(it as never, Object, [], {}),
  'fillBlindIndexes, data source': (it) => typeorm.fillBlindIndexes(it as never, bench.seal),
  'FieldSealModule.forRootAsync': (it) => nestjs.FieldSealModule.forRootAsync(it as never),
  'seal, purpose': (it) => bench.seal.seal(it as never, 'cards.pan', 'v'),
  'seal, name': (it) => bench.seal.seal(PURPOSE, it as never, 'v'),
  'seal, options': (it) => bench.seal.seal(PURPOSE, 'cards.pan', 'v', it as never),
  'sealAsync, purpose': (it) => bench.seal.sealAsync(it as never, 'cards.pan', 'v'),
  'open, purpose': (it) => bench.seal.open(it as never, 'cards.pan', Buffer.alloc(50)),
  'open, name': (it) => bench.seal.open(PURPOSE, it as never, Buffer.alloc(50)),
  'open, cell': (it) => bench.seal.open(PURPOSE, 'cards.pan', it as never),
  'open, options': (it) => bench.seal.open(PURPOSE, 'cards.pan', Buffer.alloc(50), it as never),
  column: (it) => bench.seal.column(it as never),
  'column, purpose': (it) =>
    bench.seal.column({ purpose: it, entity: 'e', field: 'f', codec: 'string' } as never),
  'column, entity': (it) =>
    bench.seal.column({ purpose: PURPOSE, entity: it, field: 'f', codec: 'string' } as never),
  'column, codec': (it) =>
    bench.seal.column({ purpose: PURPOSE, entity: 'e', field: 'f', codec: it } as never),
};

describe.each(Object.entries(CALLS))('%s', (_, call) => {
  it.each(RUBBISH)('with %s fails with a code or does something', async (_, rubbish) => {
    let error: unknown;
    try {
      await call(rubbish);
      return;
    } catch (caught) {
      error = caught;
    }
    if (!isFieldSealError(error)) throw error;
    expect(error.message).not.toContain('secret');
  });
});
