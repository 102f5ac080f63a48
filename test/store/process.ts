/** The other process in tests of the PostgreSQL store. Arguments: a job, a connection string. */
import { createInterface } from 'node:readline';
import { migrateKeyStore, postgresKeyStore } from '../../src/store/postgres.js';
import { aKey, SCOPE } from './records.js';

const [job = '', connectionString = ''] = process.argv.slice(2);

const input = createInterface({ input: process.stdin });

function told(): Promise<void> {
  return new Promise((resolve) =>
    input.once('line', () => {
      resolve();
    }),
  );
}

const JOBS: ReadonlyMap<string, () => Promise<void>> = new Map([
  ['migrate', migrate],
  ['hold-lock', holdLock],
  ['count', count],
  ['leave-open', leaveOpen],
]);

async function migrate(): Promise<void> {
  console.log('ready');
  await told();
  const { from, to } = await migrateKeyStore({ connectionString });
  console.log(`migrated ${from} ${to}`);
  input.close();
}

/** Writes under the lock and never comes to its end. */
async function holdLock(): Promise<void> {
  const store = postgresKeyStore({ connectionString });
  await store.withLock(SCOPE, async (locked) => {
    await locked.insert(aKey());
    console.log('locked');
    await told();
  });
}

/** Adds 20 to the counter of the only key, one by one. */
async function count(): Promise<void> {
  const store = postgresKeyStore({ connectionString });
  console.log('ready');
  await told();
  for (let i = 0; i < 20; i++) {
    await store.withLock(SCOPE, async (locked) => {
      const [key] = await locked.list(SCOPE);
      if (key) await locked.update({ ...key, revision: key.revision + 1, cells: key.cells + 1 }, key.state);
    });
  }
  console.log('counted');
  input.close();
}

/** An application that does not close its store. */
async function leaveOpen(): Promise<void> {
  input.close();
  const store = postgresKeyStore({ connectionString });
  await store.start();
  await store.watch?.(() => undefined);
  await Promise.all([store.list(SCOPE), store.list(SCOPE)]);
  console.log('done');
}

await JOBS.get(job)?.();
