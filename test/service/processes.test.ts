import { startPostgres } from '@fieldseal/test-support';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { KmsEmulator } from '../../src/kms/emulator/emulator.js';
import { migrateKeyStore, storeGrants } from '../../src/store/postgres.js';
import { alarmsOf, census, hasCode, moveKey, SCOPE, START, startEmulator, startSource } from './fixture.js';
import { TestKeyStore } from './key-store-fixture.js';
import { killWorker, Workers, type Worker } from './workers.js';

const WHOLE_SET = { 'store ENCRYPT': 1, 'index ENCRYPT': 1, 'data ENCRYPT': 15, 'data FUTURE': 3 };

let emulator: KmsEmulator;
let keyStore: TestKeyStore;
let workers: Workers;

beforeAll(async () => {
  workers = await Workers.build();
  emulator = await startEmulator();
});
afterAll(async () => {
  await emulator.close();
  workers.remove();
});
beforeEach(async () => {
  keyStore = await TestKeyStore.create();
});
afterEach(async () => {
  emulator.faults.clear();
  await workers.killAll();
  await keyStore.drop();
});

/** A process that waits for orders. */
function spawn(manage = true): Promise<Worker> {
  return workers.spawn({ emulator, databaseUrl: keyStore.database.url, manage });
}

describe('several processes on one key store', () => {
  it('that start at once end with one set of keys', async () => {
    const three = await Promise.all([spawn(), spawn(), spawn()]);
    for (const worker of three) worker.tell({ do: 'start' });
    const started = await Promise.all(three.map((worker) => worker.next('started')));
    expect(started.map(({ moves }) => moves).sort()).toEqual([0, 0, 35]);
    const store = keyStore.store();
    expect(await census(store)).toEqual(WHOLE_SET);
    const valid = (await store.list(SCOPE, { states: ['ENCRYPT'] })).map((row) => row.fingerprint);
    for (const worker of three) {
      worker.tell({ do: 'hand-out' });
      expect(valid).toEqual(expect.arrayContaining([...(await worker.next('handed-out')).fingerprints]));
    }
    await store.close();
  });

  it('killed with SIGKILL in the middle of the first start leave nothing behind', async () => {
    emulator.faults.inject('GenerateDataKey', 'slow', { times: 9, delayMs: 0 });
    emulator.faults.inject('GenerateDataKey', 'hang');
    const worker = await spawn();
    worker.tell({ do: 'start' });
    await vi.waitFor(() => {
      expect(emulator.audit().length).toBeGreaterThan(9);
    }, 5_000);
    const store = keyStore.store();
    expect(await census(store)).toEqual({});
    await killWorker(worker);
    emulator.faults.clear();
    expect(await census(store)).toEqual({});
    const next = await spawn();
    next.tell({ do: 'start' });
    await next.next('started');
    expect(await census(store)).toEqual(WHOLE_SET);
    await store.close();
  });

  it('drop keys at once that an operator moved to SUSPENDED or COMPROMISED', async () => {
    const managing = await spawn();
    managing.tell({ do: 'start' });
    await managing.next('started');
    const reading = await spawn(false);
    reading.tell({ do: 'start' });
    await reading.next('started');
    reading.tell({ do: 'hand-out' });
    const [one, other] = (await reading.next('handed-out')).fingerprints as [string, string];
    const store = keyStore.store();
    for (const [fingerprint, state] of [
      [one, 'SUSPENDED'],
      [other, 'COMPROMISED'],
    ] as const) {
      await moveKey(store, emulator, fingerprint, state);
      for (const worker of [managing, reading]) {
        expect((await worker.next('revoked')).fingerprints).toEqual([fingerprint]);
        worker.tell({ do: 'load', fingerprint });
        expect(await worker.next('loaded')).toMatchObject({ code: 'ERR_KEY_STATE' });
      }
    }
    await store.close();
  });

  it('drop a key also when its state was changed by SQL alone, and refuse the row', async () => {
    const worker = await spawn();
    worker.tell({ do: 'start' });
    await worker.next('started');
    worker.tell({ do: 'hand-out' });
    const [fingerprint] = (await worker.next('handed-out')).fingerprints as [string];
    const suspend = `UPDATE fieldseal.data_keys SET state = 'SUSPENDED' WHERE fingerprint = $1`;
    await keyStore.database.query(suspend, [fingerprint]);
    expect((await worker.next('revoked')).fingerprints).toEqual([fingerprint]);
    worker.tell({ do: 'load', fingerprint });
    expect(await worker.next('loaded')).toMatchObject({ code: 'ERR_STORE_ROW_MAC' });
  });
});

describe('database roles', () => {
  it('a role that only reads is enough for manage: false, and cannot manage', async () => {
    const managing = await startSource({ emulator, store: keyStore.store() });
    const url = await roleFor('read');
    const reading = await startSource({ emulator, store: keyStore.store(url), manage: false });
    const [key] = await reading.source.handOut(SCOPE.purpose, []);
    expect(await reading.source.load(SCOPE.purpose, [key!.fingerprint])).toMatchObject([{ key: {} }]);
    expect(await reading.source.indexKeys(SCOPE.purpose)).toHaveLength(1);
    expect(alarmsOf(reading)).toEqual([]);
    await reading.source.close();

    const clock = managing.clock;
    clock.now = START + 3 * 86_400_000;
    await expect(startSource({ emulator, store: keyStore.store(url), clock })).rejects.toEqual(
      hasCode('ERR_STORE_DENIED'),
    );
    await managing.source.close();
  });

  it('a role that manages can make the first keys and move them', async () => {
    const url = await roleFor('manage');
    const { source, clock } = await startSource({ emulator, store: keyStore.store(url) });
    clock.now = START + 3 * 86_400_000;
    expect(await source.handOut(SCOPE.purpose, [])).toHaveLength(3);
    await source.close();
  });

  it('a role of another application sees an empty key store', async () => {
    const managing = await startSource({ emulator, store: keyStore.store() });
    await managing.source.close();
    const url = await roleFor('read', 'other');
    await expect(startSource({ emulator, store: keyStore.store(url), manage: false })).rejects.toEqual(
      hasCode('ERR_STORE_EMPTY'),
    );
  });

  async function roleFor(access: 'read' | 'manage', application = SCOPE.application): Promise<string> {
    const url = new URL(keyStore.database.url);
    const role = `${access}_${url.pathname.slice(-12)}`;
    await keyStore.database.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`);
    await keyStore.database.query(storeGrants({ role, application, access }));
    [url.username, url.password] = [role, 'secret'];
    return url.href;
  }
});

describe('a database server that is gone', () => {
  it('fails every call with a code that says so, and serves again when it is back', async () => {
    const server = await startPostgres();
    try {
      await migrateKeyStore({ connectionString: server.url });
      const { source } = await startSource({ emulator, store: keyStore.store(server.url) });
      const [key] = await source.handOut(SCOPE.purpose, []);
      const calls = (): Promise<unknown>[] => [
        source.handOut(SCOPE.purpose, []),
        source.load(SCOPE.purpose, [key!.fingerprint]),
        source.indexKeys(SCOPE.purpose),
      ];
      await server.kill9();
      for (const outcome of await Promise.allSettled(calls())) {
        expect(outcome).toMatchObject({ reason: { code: 'ERR_STORE_UNAVAILABLE', retryable: true } });
      }
      await server.restart();
      await Promise.all(calls());
      await source.close();
    } finally {
      await server.stop();
    }
  });
});
