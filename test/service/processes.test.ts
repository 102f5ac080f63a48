import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { startPostgres } from '@fieldseal/test-support';
import { build } from 'vite';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { KmsEmulator } from '../../src/kms/emulator/emulator.js';
import { migrateKeyStore, storeGrants } from '../../src/store/postgres.js';
import { alarmsOf, census, hasCode, moveKey, SCOPE, START, startEmulator, startSource } from './fixture.js';
import { TestKeyStore } from './key-store-fixture.js';
import type { Order, ProcessSetup, Report } from './source-process.js';

const WHOLE_SET = { 'store ENCRYPT': 1, 'index ENCRYPT': 1, 'data ENCRYPT': 15, 'data FUTURE': 3 };

let emulator: KmsEmulator;
let keyStore: TestKeyStore;
let folder: string;
const children: ChildProcess[] = [];

beforeAll(async () => {
  // Below the checkout, so that the built program finds its packages.
  mkdirSync('.cache', { recursive: true });
  folder = mkdtempSync(join(process.cwd(), '.cache', 'service-'));
  const entry = join(import.meta.dirname, 'source-process.ts');
  await build({
    configFile: false,
    logLevel: 'error',
    build: { ssr: entry, outDir: folder, target: 'node20', minify: false },
  });
  emulator = await startEmulator();
});
afterAll(async () => {
  await emulator.close();
  rmSync(folder, { recursive: true });
});
beforeEach(async () => {
  keyStore = await TestKeyStore.create();
});
afterEach(async () => {
  emulator.faults.clear();
  for (const child of children.splice(0)) await kill(child);
  await keyStore.drop();
});

/** A process that waits for orders. */
async function spawn(manage = true): Promise<Worker> {
  const setup: ProcessSetup = {
    ...{ ...SCOPE, manage, databaseUrl: keyStore.database.url },
    kms: {
      region: emulator.region,
      endpoint: emulator.endpoint,
      credentials: emulator.credentials(),
      keks: { [SCOPE.purpose]: ['alias/card-a', 'alias/card-b'] },
    },
  };
  const child = fork(join(folder, 'source-process.js'), [JSON.stringify(setup)], { stdio: 'inherit' });
  children.push(child);
  const worker = new Worker(child);
  await worker.next('ready');
  return worker;
}

class Worker {
  readonly child: ChildProcess;
  readonly #reports: Report[] = [];

  constructor(child: ChildProcess) {
    this.child = child;
    child.on('message', (report: Report) => void this.#reports.push(report));
  }

  tell(order: Order): void {
    this.child.send(order);
  }

  /** The next report of this type; a failure that comes instead is thrown. */
  async next<Type extends Report['type']>(type: Type): Promise<Extract<Report, { readonly type: Type }>> {
    const report = await vi.waitFor(
      () => {
        const at = this.#reports.findIndex((one) => one.type === type || one.type === 'failed');
        if (at < 0) throw new Error(`no report "${type}" yet`);
        return this.#reports.splice(at, 1)[0];
      },
      { timeout: 10_000, interval: 10 },
    );
    expect(report).toMatchObject({ type });
    return report as Extract<Report, { readonly type: Type }>;
  }
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

describe('several processes on one key store', () => {
  it('that start at once end with one set of keys', async () => {
    const workers = await Promise.all([spawn(), spawn(), spawn()]);
    for (const worker of workers) worker.tell({ do: 'start' });
    const started = await Promise.all(workers.map((worker) => worker.next('started')));
    expect(started.map(({ moves }) => moves).sort()).toEqual([0, 0, 35]);
    const store = keyStore.store();
    expect(await census(store)).toEqual(WHOLE_SET);
    const valid = (await store.list(SCOPE, { states: ['ENCRYPT'] })).map((row) => row.fingerprint);
    for (const worker of workers) {
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
    await kill(worker.child);
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
