/** Every public function, called with rubbish: what comes out has a code. */
import 'reflect-metadata';
import { DataSource, Entity, PrimaryColumn } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isFieldSealError } from '../src/errors.js';
import * as main from '../src/index.js';
import { awsKms } from '../src/kms/aws.js';
import { startKmsEmulator, type KmsEmulatorOptions } from '../src/kms/emulator/emulator.js';
import { localKeks } from '../src/kms/local/local-keks.js';
import * as nestjs from '../src/nestjs/index.js';
import { memoryKeyStore } from '../src/store/memory.js';
import * as postgres from '../src/store/postgres.js';
import * as typeorm from '../src/typeorm/index.js';
import { openBench, PURPOSE, type Bench } from './keys/seal-fixture.js';

type Anything = (...args: unknown[]) => unknown;

/** In no message. */
const UNSEEN = 'never-shown';

const RUBBISH: readonly (readonly [string, unknown])[] = [
  ['undefined', undefined],
  ['null', null],
  ['a number', 7],
  ['NaN', NaN],
  ['a bigint', 7n],
  ['a symbol', Symbol(UNSEEN)],
  ['an empty string', ''],
  ['a string', 'rubbish'],
  ['a lone surrogate', '\ud800'],
  ['a list', [null]],
  ['an object', { nothing: [UNSEEN] }],
  ['an object without prototype', Object.create(null)],
  ['a function', () => null],
  ['bytes', Buffer.from(UNSEEN)],
  ['a date that is none', new Date(NaN)],
];

@Entity()
class Jar {
  @PrimaryColumn('int') id!: number;
  @typeorm.Encrypted({ purpose: PURPOSE, bind: false }) pan!: string | null;
}

const sqlJs = () => new DataSource({ type: 'sqljs', entities: [Jar] });

let bench: Bench;
let dataSource: DataSource;
beforeAll(async () => {
  bench = await openBench();
  dataSource = await typeorm.attachFieldSeal(sqlJs(), bench.seal).initialize();
});
afterAll(() => bench.seal.close());

const EMULATOR_OPTIONS =
  'port region stateFile policyFile policy createKeys createMacKeys now unsafeOnPlaintext'.split(' ');

async function closedAfter(options: unknown): Promise<void> {
  await (await startKmsEmulator(options as KmsEmulatorOptions)).close();
}

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
  'openRaw, entity': (it) => typeorm.openRaw(dataSource, it as never, [], {}),
  'openRaw, rows': (it) => typeorm.openRaw(dataSource, Jar, it as never, { pan: 'pan' }),
  'openRaw, row': (it) => typeorm.openRaw(dataSource, Jar, [it] as never, { pan: 'pan' }),
  'openRaw, mapping': (it) => typeorm.openRaw(dataSource, Jar, [{ pan: null }], it as never),
  'openRaw, property': (it) => typeorm.openRaw(dataSource, Jar, [{ pan: null }], { pan: it } as never),
  'openRaw, options': (it) => typeorm.openRaw(dataSource, Jar, [], {}, it as never),
  'fillBlindIndexes, seal': (it) => typeorm.fillBlindIndexes(dataSource, it as never),
  'fillBlindIndexes, options': (it) => typeorm.fillBlindIndexes(dataSource, bench.seal, it as never),
  'attachFieldSeal, options': (it) => typeorm.attachFieldSeal(sqlJs(), bench.seal, it as never),
  withFieldSeal: (it) => nestjs.withFieldSeal(it as never),
  'withFieldSeal, attach': (it) =>
    nestjs.withFieldSeal({ useFactory: () => ({ type: 'sqljs' }) }, it as never),
  storeGrants: postgres.storeGrants as Anything,
  memoryKeyStore: memoryKeyStore,
  startKmsEmulator: closedAfter,
  ...Object.fromEntries(
    EMULATOR_OPTIONS.map((name) => [
      `startKmsEmulator, ${name}`,
      (it: unknown) => closedAfter({ [name]: it }),
    ]),
  ),
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
    expect(error.message).not.toContain(UNSEEN);
  });
});
