/** Behaviour that every KeyStore must show, as cases that need no test framework. */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { isFieldSealError, type ErrorCode } from '../errors.js';
import type { KeyEvent, KeyRecord, KeyScope, KeyStore, LockedKeyStore, Wrap } from '../keys/ports.js';

/** What a case needs. Made anew, and empty, for each case. */
export interface KeyStoreFixture {
  /** A store that is not started. The case closes it. */
  readonly store: KeyStore;
  /** Another one on the same data; the same object where the data live in the store itself. */
  readonly other: KeyStore;
  /** Frees what the fixture opened. */
  close(): Promise<void>;
}

export interface KeyStoreCase {
  readonly name: string;
  readonly run: (make: () => Promise<KeyStoreFixture>) => Promise<void>;
}

type Stores = Pick<KeyStoreFixture, 'store' | 'other'>;

const SCOPE: KeyScope = { application: 'shop', environment: 'test', purpose: 'card-number' };
const OTHER_SCOPES: readonly KeyScope[] = [
  { ...SCOPE, application: 'hub' },
  { ...SCOPE, environment: 'production' },
  { ...SCOPE, purpose: 'personal-data' },
];

/** Run each with a fixture of its own: `for (const { name, run } of keyStoreConformance) test(name, () => run(make))`. */
export const keyStoreConformance: readonly KeyStoreCase[] = [
  one('an empty store has no keys and no events', async ({ store }) => {
    assert.deepEqual(await store.list(SCOPE), []);
    assert.deepEqual(await store.find(SCOPE, [randomUUID()]), []);
    assert.deepEqual(await store.events(SCOPE), []);
    assert.equal(await store.lastEvent(SCOPE), undefined);
  }),

  one('its clock, where it has one of its own, goes on under a lock too', async ({ store }) => {
    const before = await store.now();
    await store.withLock(SCOPE, async (locked) => {
      const first = await locked.now();
      await new Promise((resolve) => setTimeout(resolve, 20));
      const second = await locked.now();
      if (before === undefined) assert.deepEqual([first, second], [undefined, undefined]);
      else assert.ok(before <= first! && first! + 10 <= second!);
    });
  }),

  one('a key comes back as it was inserted, every column of it', async ({ store, other }) => {
    const record = fullRecord();
    assert.equal(await insert(store, record), true);
    assert.deepEqual(await other.find(SCOPE, [record.fingerprint]), [record]);
  }),

  one('columns that may be unset come back unset', async ({ store, other }) => {
    const record = dataKey();
    await insert(store, record);
    assert.deepEqual(await other.list(SCOPE), [record]);
  }),

  one('wraps come back by the time they were made, then by their id', async ({ store }) => {
    const [early, late] = [new Date(1_000), new Date(2_000)];
    const wraps = [
      wrap({ created: late, wrapId: '00000000-0000-4000-8000-000000000001' }),
      wrap({ created: early, wrapId: '00000000-0000-4000-8000-000000000003' }),
      wrap({ created: early, wrapId: '00000000-0000-4000-8000-000000000002' }),
    ];
    await insert(store, dataKey({ wraps }));
    const [found] = await store.list(SCOPE);
    assert.deepEqual(found?.wraps, [wraps[2], wraps[1], wraps[0]]);
  }),

  one('keys are listed by the time they were made, then by fingerprint', async ({ store }) => {
    const [early, late] = [new Date(1_000), new Date(2_000)];
    const records = [dataKey({ created: late }), dataKey({ created: early }), dataKey({ created: early })];
    await insert(store, ...records);
    const expected = fingerprintsOf(records.slice(1)).sort();
    assert.deepEqual(fingerprintsOf(await store.list(SCOPE)), [...expected, records[0]?.fingerprint]);
  }),

  one('a list passes the filters of kind and state, both where both are given', async ({ store }) => {
    const records = [dataKey(), dataKey({ state: 'FUTURE' }), dataKey({ kind: 'index', version: 1 })];
    await insert(store, ...records);
    const listed = async (filter: Parameters<KeyStore['list']>[1]): Promise<string[]> =>
      fingerprintsOf(await store.list(SCOPE, filter)).sort();
    const [encrypt, future, index] = fingerprintsOf(records);
    assert.deepEqual(await listed({ kinds: ['data'] }), [encrypt, future].sort());
    assert.deepEqual(await listed({ states: ['ENCRYPT'] }), [encrypt, index].sort());
    assert.deepEqual(await listed({ kinds: ['data'], states: ['ENCRYPT', 'EXPIRED'] }), [encrypt]);
    assert.deepEqual(await listed({ states: [] }), []);
  }),

  one(
    'any number of keys is found at once, unknown and malformed fingerprints are left out',
    async ({ store }) => {
      const records = Array.from({ length: 300 }, () => dataKey());
      await insert(store, ...records);
      const noise = [randomUUID(), '', 'no uuid', `${records[0]?.fingerprint ?? ''}'`, '\0'];
      const found = await store.find(SCOPE, [...noise, ...fingerprintsOf(records)]);
      assert.deepEqual(fingerprintsOf(found).sort(), fingerprintsOf(records).sort());
    },
  ),

  one('keys and events of other scopes are not seen', async ({ store }) => {
    const record = dataKey();
    await store.withLock(SCOPE, async (locked) => {
      await locked.insert(record);
      await locked.append([event(1, record)]);
    });
    for (const scope of OTHER_SCOPES) {
      assert.deepEqual(await store.list(scope), []);
      assert.deepEqual(await store.find(scope, [record.fingerprint]), []);
      assert.deepEqual(await store.events(scope), []);
      assert.equal(await store.lastEvent(scope), undefined);
    }
  }),

  one('a fingerprint is inserted once, and the second attempt changes nothing', async ({ store }) => {
    const record = dataKey();
    assert.equal(await insert(store, record), true);
    assert.equal(await insert(store, { ...dataKey(), fingerprint: record.fingerprint }), false);
    assert.deepEqual(await store.list(SCOPE), [record]);
  }),

  one(
    'there is one index key per version and one store key, and any number of data keys',
    async ({ store }) => {
      assert.equal(await insert(store, dataKey({ kind: 'index', version: 1 })), true);
      assert.equal(await insert(store, dataKey({ kind: 'index', version: 1 })), false);
      assert.equal(await insert(store, dataKey({ kind: 'index', version: 2 })), true);
      assert.equal(await insert(store, dataKey({ kind: 'store' })), true);
      assert.equal(await insert(store, dataKey({ kind: 'store' })), false);
      assert.equal(await insert(store, dataKey(), dataKey()), true);
      const elsewhere = { ...SCOPE, purpose: 'reports' };
      assert.equal(await insert(store, dataKey({ ...elsewhere, kind: 'store' })), true);
    },
  ),

  one('a key with two wraps of the same id is not stored', async ({ store }) => {
    const wrapId = randomUUID();
    await rejects(insert(store, dataKey({ wraps: [wrap({ wrapId }), wrap({ wrapId })] })), 'ERR_STORE_ROW');
    assert.deepEqual(await store.list(SCOPE), []);
  }),

  one('an update writes every column that may change, and no other', async ({ store, other }) => {
    const record = dataKey();
    await insert(store, record);
    const wanted = { ...fullRecord(), fingerprint: record.fingerprint, revision: 2 };
    assert.equal(await store.withLock(SCOPE, (locked) => locked.update(wanted, record.state)), true);
    const { kind, version, commitment, created, wraps } = record;
    assert.deepEqual(await other.list(SCOPE), [{ ...wanted, kind, version, commitment, created, wraps }]);
  }),

  one('an update is refused unless it follows the stored revision', async ({ store }) => {
    const record = dataKey({ revision: 5 });
    await insert(store, record);
    for (const revision of [1, 4, 5, 7]) {
      const update = { ...record, state: 'DECRYPT', revision } as const;
      assert.equal(await store.withLock(SCOPE, (locked) => locked.update(update, record.state)), false);
    }
    assert.equal(
      await store.withLock(SCOPE, (locked) => locked.update(dataKey({ revision: 6 }), 'ENCRYPT')),
      false,
    );
    assert.deepEqual(await store.list(SCOPE), [record]);
  }),

  one('an update is refused when the state is another one than it was changed from', async ({ store }) => {
    const record = dataKey({ state: 'SUSPENDED' });
    await insert(store, record);
    const update = { ...record, state: 'ENCRYPT', revision: record.revision + 1, cells: 7 } as const;
    assert.equal(await store.withLock(SCOPE, (locked) => locked.update(update, 'ENCRYPT')), false);
    assert.deepEqual(await store.list(SCOPE), [record]);
  }),

  one('events come back in their order, from any number on', async ({ store, other }) => {
    const record = dataKey();
    // Beyond 9, where the order of numbers and that of texts part.
    const events = Array.from({ length: 12 }, (_, i) => event(i + 1, record));
    await store.withLock(SCOPE, (locked) => locked.append(events.slice(0, 3)));
    await store.withLock(SCOPE, (locked) => locked.append(events.slice(3)));
    assert.deepEqual(await other.events(SCOPE), events);
    assert.deepEqual(await other.events(SCOPE, 3), events.slice(2));
    assert.deepEqual(await other.events(SCOPE, 13), []);
    assert.deepEqual(await other.lastEvent(SCOPE), events[11]);
  }),

  one('a number of an event is given once, and what came with it is not written', async ({ store }) => {
    const record = dataKey();
    await store.withLock(SCOPE, (locked) => locked.append([event(1, record)]));
    const again = store.withLock(SCOPE, async (locked) => {
      await locked.insert(record);
      await locked.append([event(2, record), event(1, record)]);
    });
    await rejects(again, 'ERR_STORE_EVENTS');
    assert.equal((await store.events(SCOPE)).length, 1);
    assert.deepEqual(await store.list(SCOPE), []);
  }),

  one('what was written under a lock becomes visible together, at its end', async ({ store, other }) => {
    const record = dataKey();
    await store.withLock(SCOPE, async (locked) => {
      await locked.insert(record);
      await locked.append([event(1, record)]);
      assert.deepEqual(await locked.list(SCOPE), [record]);
      assert.deepEqual(await locked.find(SCOPE, [record.fingerprint]), [record]);
      assert.equal((await locked.lastEvent(SCOPE))?.seq, 1);
      assert.equal((await locked.events(SCOPE)).length, 1);
      assert.deepEqual(await other.list(SCOPE), []);
      assert.deepEqual(await other.events(SCOPE), []);
    });
    assert.deepEqual(await other.list(SCOPE), [record]);
    assert.equal((await other.events(SCOPE)).length, 1);
  }),

  one('work that throws leaves nothing, and its error comes out as it is', async ({ store }) => {
    const record = dataKey();
    const failure = new Error('of the work');
    const work = store.withLock(SCOPE, async (locked) => {
      await locked.insert(record);
      await locked.append([event(1, record)]);
      throw failure;
    });
    await assert.rejects(work, (error) => error === failure);
    assert.deepEqual(await store.list(SCOPE), []);
    assert.deepEqual(await store.events(SCOPE), []);
    assert.equal(await store.withLock(SCOPE, () => Promise.resolve('lock is free')), 'lock is free');
  }),

  one('work that swallows the error of a call commits nothing', async ({ store }) => {
    const record = dataKey();
    const work = store.withLock(SCOPE, async (locked) => {
      await locked.insert(record);
      await locked.append([event(1, record), event(1, record)]).catch(() => undefined);
      await locked.insert(dataKey()).catch(() => undefined);
    });
    await rejects(work, 'ERR_STORE_EVENTS');
    assert.deepEqual(await store.list(SCOPE), []);
  }),

  one('calls that are not awaited one by one run in their order', async ({ store }) => {
    const record = dataKey();
    const changed = { ...record, revision: 2, cells: 7 };
    const results = await store.withLock(SCOPE, (locked) =>
      Promise.all([locked.insert(record), locked.update(changed, record.state), locked.list(SCOPE)]),
    );
    assert.deepEqual(results, [true, true, [changed]]);
  }),

  one('a record of another scope is refused under a lock', async ({ store }) => {
    for (const scope of OTHER_SCOPES) {
      const record = dataKey(scope);
      for (const write of [
        (locked: LockedKeyStore) => locked.insert(record),
        (locked: LockedKeyStore) => locked.update(record, record.state),
        (locked: LockedKeyStore) => locked.append([event(1, record)]),
      ]) {
        await rejects(store.withLock<unknown>(SCOPE, write), 'ERR_STORE_ROW');
      }
      assert.deepEqual(await store.list(scope), []);
    }
  }),

  one('a call after the end of its lock is refused', async ({ store }) => {
    const escaped = await store.withLock(SCOPE, (locked) => Promise.resolve({ locked }));
    await rejects(escaped.locked.insert(dataKey()), 'ERR_STORE_CLOSED');
    await rejects(escaped.locked.list(SCOPE), 'ERR_STORE_CLOSED');
    assert.deepEqual(await store.list(SCOPE), []);
  }),

  one('only one holds the lock of a scope at a time', async ({ store, other }) => {
    const record = dataKey();
    await insert(store, record);
    const addOne = (through: KeyStore): Promise<boolean> =>
      through.withLock(SCOPE, async (locked) => {
        const [stored] = await locked.list(SCOPE);
        assert.ok(stored);
        return locked.update(
          { ...stored, revision: stored.revision + 1, cells: stored.cells + 1 },
          stored.state,
        );
      });
    const turns = Array.from({ length: 10 }, (_, i) => addOne(i % 2 === 0 ? store : other));
    assert.deepEqual(
      await Promise.all(turns),
      Array.from({ length: 10 }, () => true),
    );
    assert.equal((await store.list(SCOPE))[0]?.cells, record.cells + 10);
  }),

  one('locks of different scopes do not wait for each other', async ({ store, other }) => {
    for (const scope of OTHER_SCOPES) {
      const inner = (): Promise<string> => other.withLock(scope, () => Promise.resolve('both held'));
      assert.equal(await store.withLock(SCOPE, inner), 'both held');
    }
  }),

  one(
    'a reading of one moment sees nothing of what is written meanwhile, and is never old',
    async ({ store, other }) => {
      const [before, meanwhile] = [dataKey(), dataKey()];
      await insert(store, before);
      const seen = await other.atOneMoment(async (moment) => {
        const first = await moment.list(SCOPE);
        await insert(store, meanwhile);
        return [first, await moment.list(SCOPE), await moment.find(SCOPE, [meanwhile.fingerprint])];
      });
      assert.deepEqual(seen, [[before], [before], []]);
      assert.equal((await other.atOneMoment((moment) => moment.list(SCOPE))).length, 2);
    },
  ),

  one('nobody shares memory with the store', async ({ store }) => {
    const record = dataKey();
    const copy = structuredClone(record.rowMac);
    await insert(store, record);
    record.rowMac.fill(0);
    const [first] = await store.list(SCOPE);
    first?.commitment.fill(0);
    first?.wraps[0]?.wrapped.fill(0);
    first?.created.setTime(0);
    const [second] = await store.list(SCOPE);
    assert.deepEqual(second, { ...record, rowMac: Buffer.from(copy) });
  }),

  one(
    'watchers are told of keys that must not be held any more, and of no others',
    async ({ store, other }) => {
      if (!other.watch) return;
      const told: (readonly string[] | 'unknown')[] = [];
      const stop = await other.watch((fingerprints) => told.push(fingerprints));
      const [suspended, compromised, destroyed, retired, kept] = [0, 1, 2, 3, 4].map(() => dataKey());
      assert.ok(suspended && compromised && destroyed && retired && kept);
      await insert(store, suspended, compromised, destroyed, retired, kept);
      await move(store, retired, 'DECRYPT');
      await assert.rejects(move(store, kept, 'SUSPENDED', new Error('rolled back')));
      await move(store, suspended, 'SUSPENDED');
      await move(store, compromised, 'COMPROMISED');
      await move(store, destroyed, 'DESTROYED');
      await until(() => told.flat().includes(destroyed.fingerprint));
      assert.deepEqual(told, [[suspended.fingerprint], [compromised.fingerprint], [destroyed.fingerprint]]);
      await stop();
    },
  ),

  one('a watcher that stopped is told nothing', async ({ store, other }) => {
    if (!other.watch) return;
    const [stopped, listening]: [unknown[], unknown[]] = [[], []];
    const stop = await other.watch((fingerprints) => stopped.push(fingerprints));
    const stopOther = await other.watch((fingerprints) => listening.push(fingerprints));
    await stop();
    await stop();
    const record = dataKey();
    await insert(store, record);
    await move(store, record, 'SUSPENDED');
    await until(() => listening.length > 0);
    assert.deepEqual(stopped, []);
    await stopOther();
  }),

  one('a closed store refuses every call; closing again is fine', async ({ store }) => {
    await store.start();
    await store.close();
    await store.close();
    await rejects(store.start(), 'ERR_STORE_CLOSED');
    await rejects(store.list(SCOPE), 'ERR_STORE_CLOSED');
    await rejects(store.find(SCOPE, [randomUUID()]), 'ERR_STORE_CLOSED');
    await rejects(store.find(SCOPE, []), 'ERR_STORE_CLOSED');
    await rejects(store.events(SCOPE), 'ERR_STORE_CLOSED');
    await rejects(store.lastEvent(SCOPE), 'ERR_STORE_CLOSED');
    await rejects(
      store.withLock(SCOPE, () => Promise.resolve()),
      'ERR_STORE_CLOSED',
    );
    if (store.watch)
      await rejects(
        store.watch(() => undefined),
        'ERR_STORE_CLOSED',
      );
  }),
];

function one(name: string, work: (stores: Stores) => Promise<void>): KeyStoreCase {
  return {
    name,
    async run(make) {
      const fixture = await make();
      const { store, other } = fixture;
      try {
        await Promise.all([store.start(), other.start()]);
        await work({ store, other });
      } finally {
        await Promise.all([store.close(), other.close()]);
        await fixture.close();
      }
    },
  };
}

/** True when all were inserted. All records are of one scope. */
async function insert(store: KeyStore, ...records: readonly KeyRecord[]): Promise<boolean> {
  return store.withLock(records[0] ?? SCOPE, async (locked) => {
    const inserted: boolean[] = [];
    for (const record of records) inserted.push(await locked.insert(record));
    return inserted.every(Boolean);
  });
}

async function move(
  store: KeyStore,
  record: KeyRecord,
  state: KeyRecord['state'],
  failure?: Error,
): Promise<void> {
  await store.withLock(SCOPE, async (locked) => {
    await locked.update({ ...record, state, revision: record.revision + 1 }, record.state);
    if (failure) throw failure;
  });
}

function dataKey(parts: Partial<KeyRecord> = {}): KeyRecord {
  return {
    ...SCOPE,
    fingerprint: randomUUID(),
    kind: 'data',
    version: 0,
    state: 'ENCRYPT',
    stateBefore: null,
    commitment: randomBytes(32),
    publicKey: null,
    created: new Date(1_700_000_000_123),
    activates: null,
    retires: null,
    destroysAfter: null,
    cells: 0,
    bytes: 0,
    prefixes: 0,
    revision: 1,
    rowMac: randomBytes(32),
    wraps: [wrap()],
    ...parts,
  };
}

/** Every column set, numbers and times at the far ends. */
function fullRecord(): KeyRecord {
  return dataKey({
    kind: 'index',
    version: 3,
    state: 'SUSPENDED',
    stateBefore: 'DECRYPT',
    publicKey: randomBytes(91),
    activates: new Date(1),
    retires: new Date('2300-12-31T23:59:59.999Z'),
    destroysAfter: new Date(-1),
    cells: Number.MAX_SAFE_INTEGER,
    bytes: 2 ** 50,
    prefixes: 2 ** 32,
    revision: 9,
    wraps: [wrap({ keyMaterialId: null, created: new Date(1) }), wrap({ created: new Date(2) })],
  });
}

function wrap(parts: Partial<Wrap> = {}): Wrap {
  return {
    kek: 'arn:aws:kms:eu-central-1:000000000000:key/"quoted\\ż"',
    keyMaterialId: 'material',
    wrapId: randomUUID(),
    wrapped: randomBytes(184),
    created: new Date(1_700_000_000_456),
    ...parts,
  };
}

function event(seq: number, { application, environment, purpose, fingerprint }: KeyRecord): KeyEvent {
  return {
    application,
    environment,
    purpose,
    seq,
    at: new Date(1_700_000_000_000 + seq),
    who: 'conformance',
    fingerprint,
    from: seq === 1 ? null : 'FUTURE',
    to: 'ENCRYPT',
    why: "it's \\ due: ż, 鍵",
    previous: randomBytes(32),
    hash: randomBytes(32),
    mac: randomBytes(32),
  };
}

function fingerprintsOf(records: readonly KeyRecord[]): string[] {
  return records.map(({ fingerprint }) => fingerprint);
}

async function rejects(work: Promise<unknown>, code: ErrorCode): Promise<void> {
  await assert.rejects(work, (error) => isFieldSealError(error) && error.code === code);
}

/** Messages come on their own time; the wait ends with the first one that is waited for. */
async function until(come: () => boolean): Promise<void> {
  const end = performance.now() + 5_000;
  while (!come()) {
    assert.ok(performance.now() < end, 'expected a message within 5 s');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
