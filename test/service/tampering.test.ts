import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { KmsEmulator } from '../../src/kms/emulator/emulator.js';
import type { KeyRecord, KeyStore, LockedKeyStore } from '../../src/keys/ports.js';
import {
  alarmsOf,
  alarmsOfKeys,
  DAY_MS,
  HandClock,
  hasCode,
  type OpenedSource,
  overriding,
  SCOPE,
  type SourceSetup,
  startEmulator,
  startSource,
} from './fixture.js';
import { type Column, TestKeyStore } from './key-store-fixture.js';

/** Three keys seal and all are handed out, so that a missing one is seen. */
const PURPOSES = { [SCOPE.purpose]: { pool: { validKeys: 3, handOut: 3, futureKeys: 1 } } };

/** Codes with which a changed row of the store key is refused: the one that is checked first says so. */
const STORE_KEY_CODES =
  /^ERR_(STORE_KEY|STORE_ROW_MAC|KEY_COMMITMENT|KMS_WRAP_REFUSED|KMS_KEK_NOT_CONFIGURED)$/;

let emulator: KmsEmulator;
let keyStore: TestKeyStore;
let data: KeyRecord;
const opened: OpenedSource[] = [];

beforeAll(async () => {
  emulator = await startEmulator();
  keyStore = await TestKeyStore.create();
  const { source } = await start();
  await source.close();
  await keyStore.keep();
  [data] = (await rowsOf('data', 'ENCRYPT')) as [KeyRecord];
});
afterEach(async () => {
  for (const { source } of opened.splice(0)) await source.close();
  await keyStore.putBack();
});
afterAll(async () => {
  await keyStore.drop();
  await emulator.close();
});

it('rows that were changed are alarms also where no key is left and none can be made', async () => {
  const { source, events } = await start();
  await keyStore.database.query("UPDATE fieldseal.data_keys SET cells = cells + 1 WHERE kind = 'data'");
  emulator.faults.inject('GenerateDataKey', 'close');
  await expect(source.handOut(SCOPE.purpose, [])).rejects.toEqual(hasCode('ERR_KMS_UNAVAILABLE'));
  emulator.faults.clear();
  expect(alarmsOf({ events })).toContain('ERR_STORE_ROW_MAC');
});

describe('a key that is stopped by hand', () => {
  it('stays stopped when a hand-out that has read it counts what it has sealed', async () => {
    const store = keyStore.store();
    const suspend = () =>
      keyStore.database.query("UPDATE fieldseal.data_keys SET state = 'SUSPENDED' WHERE fingerprint = $1", [
        data.fingerprint,
      ]);
    let isInTime = false;
    const withLock: KeyStore['withLock'] = (scope, work) =>
      store.withLock(scope, async (locked) => {
        const update: LockedKeyStore['update'] = async (record, from) => {
          if (isInTime) await suspend();
          return locked.update(record, from);
        };
        return work(overriding(locked, { update }));
      });
    const { source } = await start({ store: overriding(store, { withLock }) });
    isInTime = true;
    const usage = [{ fingerprint: data.fingerprint, cells: 7, bytes: 7 }];
    await expect(source.handOut(SCOPE.purpose, usage)).rejects.toEqual(hasCode('ERR_STORE_REVISION'));
    isInTime = false;
    const next = await source.handOut(SCOPE.purpose, usage);
    expect(next.map(({ fingerprint }) => fingerprint)).not.toContain(data.fingerprint);
    const rows = await store.list(SCOPE);
    expect(rows.find(({ fingerprint }) => fingerprint === data.fingerprint)).toMatchObject({
      state: 'SUSPENDED',
      revision: data.revision,
    });
  });

  it('leaves a process that only reads with an alarm that says why', async () => {
    const reader = await start({ manage: false });
    reader.held.push(data.fingerprint);
    await keyStore.database.query(
      "UPDATE fieldseal.data_keys SET state = 'SUSPENDED' WHERE fingerprint = $1",
      [data.fingerprint],
    );
    await vi.waitFor(() => {
      expect(reader.revoked).toEqual([data.fingerprint]);
    });
    const alarm = { type: 'alarm', code: 'ERR_STORE_ROW_MAC', fingerprint: data.fingerprint };
    expect(reader.events).toContainEqual(expect.objectContaining(alarm));
  });
});

async function start(setup: Partial<SourceSetup> = {}): Promise<OpenedSource> {
  const source = await startSource({ emulator, store: keyStore.store(), purposes: PURPOSES, ...setup });
  opened.push(source);
  return source;
}

async function rowsOf(kind: KeyRecord['kind'], state: KeyRecord['state']): Promise<KeyRecord[]> {
  const store = keyStore.store();
  const rows = await store.list(SCOPE, { kinds: [kind], states: [state] });
  await store.close();
  return rows;
}

async function madeAt({ now }: HandClock): Promise<KeyRecord[]> {
  return (await rowsOf('data', 'ENCRYPT')).filter(({ created }) => created.getTime() === now);
}

async function errorOf(load: Promise<readonly object[]>): Promise<unknown> {
  return ((await load)[0] as { readonly error?: unknown }).error;
}

it('no table was added that nobody changes in a test', async () => {
  // migrations: test/store/migrate.test.ts; role_applications: test/store/roles.test.ts; the others: here.
  const known = ['data_keys', 'key_events', 'key_wraps', 'migrations', 'role_applications'];
  expect(await keyStore.tables()).toEqual(known);
});

describe('every column of a key, changed by SQL', () => {
  it('neither seals nor opens, in a process that runs and in one that starts, and raises an alarm', async () => {
    const columns = (await keyStore.columns()).filter(({ table }) => table !== 'key_events');
    expect(columns.length).toBeGreaterThanOrEqual(25);
    const running = await start({ manage: false });
    for (const column of columns) {
      await keyStore.change(column, `fingerprint = '${data.fingerprint}'`);
      const where = `${column.table}.${column.name}`;
      running.events.length = 0;
      const starting = await startSource({
        emulator,
        store: keyStore.store(),
        purposes: PURPOSES,
        manage: false,
      });
      expect(alarmsOfKeys(starting), `${where}: alarm at start`).toContainEqual(
        expect.stringMatching(/^ERR_STORE_(ROW_MAC|REVISION)$/),
      );
      for (const { source } of [running, starting]) {
        const refusal = await errorOf(source.load(SCOPE.purpose, [data.fingerprint]));
        expect(refusal, `${where}: opening`).toMatchObject({
          code: expect.stringMatching(/^ERR_STORE_(ROW_MAC|REVISION)$/) as unknown,
        });
        const handed = await source.handOut(SCOPE.purpose, []);
        expect(
          handed.map((key) => key.fingerprint),
          `${where}: sealing`,
        ).not.toContain(data.fingerprint);
        expect(handed).toHaveLength(2);
      }
      expect(alarmsOfKeys(running), `${where}: alarm while running`).not.toEqual([]);
      await starting.source.close();
      await keyStore.putBack(['data_keys', 'key_wraps']);
    }
  });

  it('of the index key: no search values are made with it', async () => {
    const [index] = (await rowsOf('index', 'ENCRYPT')) as [KeyRecord];
    for (const column of await columnsOf('data_keys', 'key_wraps')) {
      await keyStore.change(column, `fingerprint = '${index.fingerprint}'`);
      const { source, events } = await start({ manage: false });
      await expect(source.indexKeys(SCOPE.purpose), column.name).rejects.toMatchObject({
        code: expect.stringMatching(/^ERR_(STORE_ROW_MAC|STORE_REVISION|KEY_NOT_FOUND)$/) as unknown,
      });
      expect(alarmsOfKeys({ events }), column.name).not.toEqual([]);
      await keyStore.putBack(['data_keys', 'key_wraps']);
    }
  });

  it('of the store key: nothing starts, and nothing is written', async () => {
    const [storeKey] = (await rowsOf('store', 'ENCRYPT')) as [KeyRecord];
    for (const column of await columnsOf('data_keys', 'key_wraps')) {
      await keyStore.change(column, `fingerprint = '${storeKey.fingerprint}'`);
      await expect(start(), column.name).rejects.toMatchObject({
        code: expect.stringMatching(STORE_KEY_CODES) as unknown,
      });
      await keyStore.putBack(['data_keys', 'key_wraps']);
    }
  });
});

describe('every column of an event, changed by SQL', () => {
  it('is noticed by every start, which then writes nothing', async () => {
    for (const column of await columnsOf('key_events')) {
      await keyStore.change(column, `seq = 3`);
      for (const manage of [true, false]) {
        await expect(start({ manage }), column.name).rejects.toEqual(hasCode('ERR_STORE_EVENTS'));
      }
      await keyStore.putBack(['key_events']);
    }
  });

  it('in the newest event is noticed by a running process, which writes nothing and raises an alarm', async () => {
    const running = await start();
    const [before] = await rowsOf('data', 'ENCRYPT');
    for (const column of await columnsOf('key_events')) {
      running.events.length = 0;
      await keyStore.change(column, `seq = (SELECT max(seq) FROM key_events)`);
      const usage = [{ fingerprint: data.fingerprint, cells: 1, bytes: 1 }];
      await expect(running.source.handOut(SCOPE.purpose, usage), column.name).rejects.toEqual(
        hasCode('ERR_STORE_EVENTS'),
      );
      expect(alarmsOf(running), column.name).toEqual(['ERR_STORE_EVENTS']);
      await keyStore.putBack(['key_events']);
    }
    expect((await rowsOf('data', 'ENCRYPT'))[0]).toEqual(before);
    expect(await running.source.handOut(SCOPE.purpose, [])).toHaveLength(3);
  });

  it('cannot be removed at the end while rows are further, nor altogether', async () => {
    await keyStore.force('DELETE FROM key_events WHERE seq = (SELECT max(seq) FROM key_events)');
    const { events } = await startSource({
      emulator,
      store: keyStore.store(),
      purposes: PURPOSES,
      manage: false,
    });
    expect(alarmsOfKeys({ events })).toEqual(['ERR_STORE_REVISION']);
    await keyStore.force('DELETE FROM key_events');
    await expect(start()).rejects.toEqual(hasCode('ERR_STORE_EVENTS'));
    await expect(start({ manage: false })).rejects.toEqual(hasCode('ERR_STORE_EVENTS'));
  });
});

describe('rows deleted, put back or planted by SQL', () => {
  it('a deleted key is told apart from an unknown one, and raises an alarm', async () => {
    const running = await start({ manage: false });
    await keyStore.force(`DELETE FROM data_keys WHERE fingerprint = '${data.fingerprint}'`);
    const refusal = await errorOf(running.source.load(SCOPE.purpose, [data.fingerprint]));
    expect(refusal).toEqual(hasCode('ERR_STORE_REVISION'));
    expect(alarmsOfKeys(await start())).toEqual(['ERR_STORE_REVISION']);
  });

  it('a deleted index key is not replaced by another one of the same version', async () => {
    await keyStore.force(`DELETE FROM data_keys WHERE kind = 'index'`);
    const { source, events } = await start();
    expect(await rowsOf('index', 'ENCRYPT')).toEqual([]);
    expect(alarmsOfKeys({ events })).toEqual(['ERR_STORE_REVISION']);
    await expect(source.indexKeys(SCOPE.purpose)).rejects.toEqual(hasCode('ERR_KEY_NOT_FOUND'));
  });

  it('a deleted store key is not taken for a first start', async () => {
    await keyStore.force(`DELETE FROM data_keys WHERE kind = 'store'`);
    await expect(start()).rejects.toEqual(hasCode('ERR_STORE_KEY'));
    await keyStore.force('DELETE FROM data_keys');
    await expect(start()).rejects.toEqual(hasCode('ERR_STORE_KEY'));
  });

  it('an older row is refused by a process that has seen a newer one, though its MAC fits', async () => {
    const running = await start();
    await running.source.handOut(SCOPE.purpose, [{ fingerprint: data.fingerprint, cells: 9, bytes: 9 }]);
    await keyStore.putBack(['data_keys']);
    const refusal = await errorOf(running.source.load(SCOPE.purpose, [data.fingerprint]));
    expect(refusal).toEqual(hasCode('ERR_STORE_REVISION'));
    const handed = await running.source.handOut(SCOPE.purpose, []);
    expect(handed.map((key) => key.fingerprint)).not.toContain(data.fingerprint);
    expect(alarmsOfKeys(running)).toContain('ERR_STORE_REVISION');
  });

  it('a retired key whose sealing row is put back seals no more, in a new process neither', async () => {
    const clock = new HandClock();
    clock.now += 10 * DAY_MS;
    await start({ clock });
    const [retired] = await rowsOf('data', 'DECRYPT');
    await keyStore.putBack(['data_keys'], `fingerprint = '${retired!.fingerprint}'`);
    const fresh = await start({ manage: false });
    const handed = await fresh.source.handOut(SCOPE.purpose, []);
    expect(handed.map((key) => key.fingerprint)).not.toContain(retired!.fingerprint);
    expect(await errorOf(fresh.source.load(SCOPE.purpose, [retired!.fingerprint]))).toEqual(
      hasCode('ERR_STORE_REVISION'),
    );
  });

  it('an older copy of the whole key store is an alarm of its own where a cell names a key made since', async () => {
    const clock = new HandClock();
    clock.now += 20 * DAY_MS;
    await start({ clock });
    const [made] = await madeAt(clock);
    await keyStore.putBack();
    for (const manage of [false, true]) {
      const fresh = await start({ manage });
      expect(alarmsOf(fresh)).toEqual([]);
      const outcomes = await fresh.source.load(SCOPE.purpose, [made!.fingerprint, data.fingerprint]);
      expect(outcomes).toMatchObject([{ error: hasCode('ERR_KEY_NOT_FOUND') }, { key: {} }]);
      expect(fresh.events.filter(({ type }) => type === 'alarm')).toEqual([
        {
          type: 'alarm',
          code: 'ERR_KEY_NOT_FOUND',
          fingerprint: made!.fingerprint,
          message: expect.stringContaining('an older copy of the key store') as string,
        },
      ]);
    }
  });

  it('a key that others made and somebody deleted is told from one that never was', async () => {
    const reading = await start({ manage: false });
    const clock = new HandClock();
    clock.now += 20 * DAY_MS;
    await start({ clock });
    const [made] = await madeAt(clock);
    await keyStore.force(`DELETE FROM data_keys WHERE fingerprint = '${made!.fingerprint}'`);
    const error = await errorOf(reading.source.load(SCOPE.purpose, [made!.fingerprint]));
    expect(error).toEqual(hasCode('ERR_STORE_REVISION'));
  });

  it.each([
    ['application', { application: 'other', purposes: PURPOSES }, `application = 'other'`],
    ['purpose', { purposes: { 'personal-data': {} } }, `purpose = 'personal-data'`],
  ] as const)('a key of another %s that is moved over is refused', async (_what, origin, where) => {
    await start(origin);
    await keyStore.force(
      `UPDATE data_keys SET application = 'shop', purpose = 'card-number'
       WHERE ${where} AND kind = 'data' AND state = 'ENCRYPT'`,
    );
    const { source, events } = await start({ manage: false });
    const planted = events.flatMap((event) => (event.type === 'alarm' ? [event.fingerprint!] : []));
    expect(planted.length).toBeGreaterThan(0);
    expect(await errorOf(source.load(SCOPE.purpose, planted))).toEqual(hasCode('ERR_STORE_ROW_MAC'));
    const handed = await source.handOut(SCOPE.purpose, []);
    expect(handed.some((key) => planted.includes(key.fingerprint))).toBe(false);
  });

  it('the store key of another application does not vouch for rows here', async () => {
    await start({ application: 'other' });
    await keyStore.force(
      `DELETE FROM data_keys WHERE application = 'shop' AND kind = 'store';
       UPDATE data_keys SET application = 'shop' WHERE application = 'other' AND kind = 'store'`,
    );
    await expect(start()).rejects.toEqual(hasCode('ERR_KMS_WRAP_REFUSED'));
  });

  it('a KEK of somebody else, written into a row, is never called', async () => {
    const { source } = await start({ manage: false });
    const asked = emulator.audit().length;
    await keyStore.force(
      `UPDATE key_wraps SET kek = 'arn:aws:kms:eu-central-1:111111111111:key/evil' WHERE fingerprint = '${data.fingerprint}'`,
    );
    expect(await errorOf(source.load(SCOPE.purpose, [data.fingerprint]))).toEqual(
      hasCode('ERR_STORE_ROW_MAC'),
    );
    expect(emulator.audit()).toHaveLength(asked);
    await keyStore.force(
      `UPDATE key_wraps SET kek = 'arn:aws:kms:eu-central-1:111111111111:key/evil'
       WHERE fingerprint = (SELECT fingerprint FROM data_keys WHERE kind = 'store')`,
    );
    await expect(start({ manage: false })).rejects.toEqual(hasCode('ERR_KMS_KEK_NOT_CONFIGURED'));
  });
});

async function columnsOf(...tables: Column['table'][]): Promise<readonly Column[]> {
  return (await keyStore.columns()).filter(({ table }) => tables.includes(table));
}
