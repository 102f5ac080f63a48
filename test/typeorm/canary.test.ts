/** Behaviour row 8: no plaintext in anything that TypeORM, this package or the database server logs, throws or shows. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import {
  bundleScript,
  CANARY_TEXTS,
  startPostgres,
  startScript,
  type PostgresServer,
} from '@fieldseal/test-support';
import { Client } from 'pg';
import { SelectQueryBuilder } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isSealed } from '../../src/typeorm/index.js';
import { FakeClock } from '../keys/fake-clock.js';
import {
  addSlowTrigger,
  canariesIn,
  CONTROL,
  ENTITIES,
  newVault,
  Note,
  SEARCHED_VALUES,
  showsControl,
  Vault,
} from './canary-entities.js';
import type { CanaryProcessSetup } from './canary-process.js';
import { activity, interruptions } from './canary-interruptions.js';
import { codeOf, plainFailure, refusals } from './canary-refusals.js';
import { work } from './canary-work.js';
import { isAbleTo } from './limits.js';
import { KEKS, openShop, type Shop } from './shop.js';

const SERVER_LOG_SETTINGS = {
  log_statement: 'all',
  log_duration: 'on',
  log_min_duration_statement: '0',
  log_parameter_max_length: '-1',
  log_parameter_max_length_on_error: '-1',
  log_error_verbosity: 'verbose',
  log_min_messages: 'debug1',
  log_lock_waits: 'on',
};

const IS_READABLE = isAbleTo('a log and files of PostgreSQL to search');

let server: PostgresServer;
let shop: Shop;

beforeAll(async () => {
  server = await startPostgres();
  await logEverything(server.url);
  shop = await openShop({
    server: server.url,
    entities: ENTITIES,
    options: { logging: 'all', maxQueryExecutionTime: 0.000001, cache: true },
  });
  await addSlowTrigger(shop.dataSource);
});
afterAll(async () => {
  await shop.close();
  await server.stop();
});

async function logEverything(connectionString: string): Promise<void> {
  const client = new Client({ connectionString });
  await client.connect();
  for (const [name, value] of Object.entries(SERVER_LOG_SETTINGS)) {
    await client.query(`ALTER SYSTEM SET ${name} = '${value}'`);
  }
  await client.query('SELECT pg_reload_conf()');
  await client.end();
}

/** Everything that a program could print of a value. */
function facesOf(value: unknown, depth = 12): string {
  const everything = { depth, showHidden: true, maxStringLength: null, maxArrayLength: null } as const;
  const faces = [() => inspect(value, everything), () => JSON.stringify(value), () => String(value)];
  return faces.map(orNothing).join('\n');
}

function orNothing(face: () => string): string {
  try {
    return face();
  } catch {
    // Cycles have no JSON, and objects without a prototype no string.
    return '';
  }
}

const ERROR_PARTS = ['message', 'stack', 'cause', 'driverError', 'parameters', 'query', 'detail', 'criteria'];

function facesOfError(error: unknown): string {
  const parts = ERROR_PARTS.map((part) => (error as Record<string, unknown>)[part]);
  return [error, ...parts].map((part) => facesOf(part)).join('\n');
}

async function errorOf(run: () => Promise<unknown>, name = 'this'): Promise<unknown> {
  try {
    await run();
  } catch (error) {
    return error;
  }
  throw new Error(`expected a failure of ${name}`);
}

describe.runIf(IS_READABLE)('the scan', () => {
  const [text] = ['canary-7f3a9c51'];
  it.each([
    ['itself', text],
    ['hex', Buffer.from(`x${text}`).toString('hex').toUpperCase()],
    ['Base64 at an odd place', Buffer.from(`xy${text}z`).toString('base64')],
    ['a Buffer as JSON', JSON.stringify({ deep: [Buffer.from(text)] })],
    ['a Buffer that is printed', inspect(Buffer.from(text))],
    ['UTF-16', Buffer.from(text, 'utf16le')],
    ['a date', inspect({ born: newVault().born })],
    ['a number', JSON.stringify([newVault().amount])],
    ['a bigint', inspect(newVault().big)],
  ])('sees a canary as %s', (_, haystack) => {
    expect(canariesIn(haystack)).not.toEqual([]);
  });

  it('sees every value of a row', () => {
    const { pan, word, amount, big, born, extra, photo, padded } = newVault();
    const seen = [pan, word, amount, big, born, extra, photo, padded].map((value) =>
      canariesIn(facesOf(value)),
    );
    expect(seen.filter((canaries) => canaries.length === 0)).toEqual([]);
    expect(canariesIn('nothing')).toEqual([]);
  });
});

describe.runIf(IS_READABLE)('a program that logs all', () => {
  it('8 prints nothing under any logger of TypeORM, nor with any of its errors', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fieldseal-canary-'));
    const script = await bundleScript(join(import.meta.dirname, 'canary-process.ts'));
    try {
      const logFile = join(folder, 'orm.log');
      const setup: CanaryProcessSetup = {
        url: shop.database.url,
        keyUrl: shop.keyDatabase.url,
        kms: {
          region: shop.kms.region,
          endpoint: shop.kms.endpoint,
          credentials: shop.kms.credentials(),
          keks: KEKS,
        },
        logFile,
      };
      const program = startScript(script.file, [JSON.stringify(setup)], { env: { DEBUG: 'typeorm:*' } });
      const { code, stdout, stderr } = await program.ended;
      expect({ code, missing: /missing failure: .*/u.exec(stdout) }).toEqual({ code: 0, missing: null });
      const logged = readFileSync(logFile);
      const sections = stdout.split(/^=== /mu).slice(1);
      expect(sections.map((section) => [section.split('\n')[0], showsControl(section)])).toEqual([
        ['advanced-console', true],
        ['simple-console', true],
        ['formatted-console', true],
        ['debug', false],
        ['file', false],
        ['end', false],
      ]);
      expect([stderr.includes('typeorm:query:log'), showsControl(stderr), showsControl(logged)]).toEqual([
        true,
        true,
        true,
      ]);
      for (const haystack of [stdout, stderr, logged]) expect(canariesIn(haystack)).toEqual([]);
    } finally {
      script.remove();
      rmSync(folder, { recursive: true });
    }
  });
});

describe.runIf(IS_READABLE)('work', () => {
  it('8 shows nothing to a logger, nor to the driver, nor to the query result cache', async () => {
    await work(shop.dataSource);
    await shop.dataSource.manager.find(Note, { cache: true });
    const cached = await shop.database.query('SELECT * FROM "query-result-cache"');
    const seen = [shop.recorder.lines, shop.recorder.statements, cached].map((place) => facesOf(place));
    expect(seen.map(showsControl)).toEqual([true, true, true]);
    expect(seen.map(canariesIn)).toEqual([[], [], []]);
  });
});

describe.runIf(IS_READABLE)('errors', () => {
  it('8 of constraints, types, searches, refused queries, lost connections and conflicts show nothing', async () => {
    const { dataSource, database } = shop;
    for (const { name, code, run } of [...refusals(dataSource), ...interruptions(dataSource, database.url)]) {
      const error = await errorOf(run, name);
      expect([name, codeOf(error), canariesIn(facesOfError(error))]).toEqual([name, code, []]);
    }
    expect(canariesIn(facesOf(shop.recorder.lines))).toEqual([]);
    expect(activity.map(showsControl)).toEqual([false, false, true]);
    expect(canariesIn(facesOf(activity))).toEqual([]);
  });

  it('of plain rows are seen', async () => {
    expect(showsControl(facesOfError(await errorOf(plainFailure(shop.dataSource).run)))).toBe(true);
  });

  it('of keys that cannot be had show nothing', async () => {
    const clock = new FakeClock(Date.now());
    const policy = { pool: { lifetime: '1h' }, outage: { seal: '1h' }, key: { openCache: '1h' } } as const;
    const beside = await openShop({
      beside: shop,
      entities: ENTITIES,
      clock,
      purposes: { 'card-number': policy, 'personal-data': policy },
      kmsOptions: { attempts: 1 },
    });
    const { manager } = beside.dataSource;
    const { id } = await shop.dataSource.manager.save(newVault());
    const { word, pan } = newVault();
    const load = () => manager.findOneByOrFail(Vault, { word, id });
    try {
      shop.kms.faults.inject('Decrypt', 'denied');
      await clock.advance(3 * 3_600_000);
      const errors = {
        ERR_POOL_STALE: await errorOf(() => manager.save(newVault())),
        ERR_KMS_DENIED: await errorOf(load),
        ERR_KEY_NOT_FOUND: await errorOf(async () => {
          shop.kms.faults.clear();
          const nobody = 'overlay(word placing decode(repeat($1, 16), $2) from 3)';
          await beside.database.query(`UPDATE vaults SET word = ${nobody} WHERE id = $3`, ['07', 'hex', id]);
          await load();
        }),
        ERR_CLOSED: await errorOf(async () => {
          await beside.seal.close();
          await manager.insert(Vault, newVault({ pan }));
        }),
      };
      for (const [code, error] of Object.entries(errors)) {
        expect(error).toMatchObject({ code });
        expect({ code, seen: canariesIn(facesOfError(error)) }).toEqual({ code, seen: [] });
      }
      expect(canariesIn(facesOf([beside.events, beside.recorder.lines]))).toEqual([]);
    } finally {
      shop.kms.faults.clear();
      await shop.dataSource.manager.query('DELETE FROM leaves WHERE vault_id = $1', [id]);
      await shop.dataSource.manager.delete(Vault, { id });
      await beside.close();
    }
  });
});

describe.runIf(IS_READABLE)('objects', () => {
  it('that build statements hold the values that they were given, and no other plaintext', async () => {
    const builder = shop.dataSource.createQueryBuilder();
    const insert = builder.insert().into(Vault).values(newVault());
    expect(canariesIn(facesOf(insert.getQueryAndParameters()))).toEqual([]);
    await insert.execute();
    expect(canariesIn(facesOf(insert.expressionMap.valuesSet))).not.toEqual([]);
    insert.expressionMap.valuesSet = [];
    const { id, word } = newVault();
    const update = shop.dataSource.createQueryBuilder().update(Vault).set({ word }).where({ id, word });
    expect(canariesIn(facesOf(update.getQueryAndParameters()))).toEqual([]);
    await update.execute();
    update.expressionMap.valuesSet = {};
    const select = shop.dataSource.createQueryBuilder(Vault, 'vault').where({ ...SEARCHED_VALUES, word });
    expect(canariesIn(facesOf(select.getQueryAndParameters()))).toEqual([]);
    await select.getMany();
    const remove = shop.dataSource
      .createQueryBuilder()
      .delete()
      .from(Vault)
      .where({ word: SEARCHED_VALUES.word });
    await remove.execute();
    for (const used of [insert, update, select, remove]) {
      expect(canariesIn(facesOf(used.expressionMap, 5))).toEqual([]);
    }
  });

  it('that stayed sealed show themselves without bytes', async () => {
    const plain = new SelectQueryBuilder<Vault>(shop.dataSource).select('vault').from(Vault, 'vault');
    const sealed = await plain.callListeners(false).getOneOrFail();
    expect(isSealed(sealed.word)).toBe(true);
    expect(canariesIn(facesOf(sealed))).toEqual([]);
  });

  it('that live long, the field seal and the data source, hold nothing', async () => {
    await work(shop.dataSource);
    expect(canariesIn(facesOf(shop.seal))).toEqual([]);
    expect(facesOf(shop.seal)).not.toMatch(/Buffer|KeyObject|root/u);
    expect(JSON.parse(JSON.stringify(shop.seal))).toMatchObject({ application: 'shop', environment: 'test' });
    expect(canariesIn(facesOf(shop.seal.stats()))).toEqual([]);
    const faces = facesOf(shop.dataSource, 6);
    expect([canariesIn(faces), showsControl(faces)]).toEqual([[], true]);
  });
});

describe.runIf(IS_READABLE)('the database server', () => {
  it('logs every statement with its parameters, and no canary among them', () => {
    const log = readFileSync(server.logFile);
    expect(log.includes('ERROR:  23505: duplicate key value')).toBe(true);
    expect(log.toString('latin1')).toMatch(new RegExp(`parameters: \\$1 = '7', \\$2 = '${CONTROL}'`, 'iu'));
    expect(canariesIn(log)).toEqual([]);
  });

  it('writes none into its files, be it tables or the write-ahead log', async () => {
    await shop.database.query('CHECKPOINT');
    const [{ oid }] = (await shop.database.query(
      'SELECT oid FROM pg_database WHERE datname = current_database()',
    )) as [{ oid: number }];
    const seen = ['pg_wal', `base/${oid}`].map((folder) => {
      const files = filesIn(join(server.dataDir, folder)).map((file) => readFileSync(file));
      const shows = (text: string): boolean => files.some((bytes) => bytes.includes(text));
      return { control: shows(CONTROL), canaries: CANARY_TEXTS.filter(shows) };
    });
    const nothing = { control: true, canaries: [] };
    expect(seen).toEqual([nothing, nothing]);
  });
});

function filesIn(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => join(folder, name));
}
