import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { KmsError } from '../../src/errors.js';
import { createFieldSeal } from '../../src/keys/create-field-seal.js';
import type { FieldSealOptions } from '../../src/keys/create-field-seal.js';
import { isFieldSeal } from '../../src/keys/field-seal.js';
import { FakeClock, settle } from './fake-clock.js';
import { fail, gate, hang, MemorySource } from './memory-source.js';
import type { Operation } from './memory-source.js';
import {
  cellUnder,
  HOUR,
  MINUTE,
  openBench,
  openPans,
  PURPOSE,
  rejection,
  sealPans,
  thrown,
} from './seal-fixture.js';

const PAN = '4111111111111111';
const isWiped = (root: Buffer): boolean => root.every((byte) => byte === 0);

describe('the start of a field seal', () => {
  it.each<Operation>(['start', 'handOut', 'indexKeys'])(
    'that fails at %s closes everything it opened and passes the reason on',
    async (operation) => {
      const source = new MemorySource();
      const fakeClock = new FakeClock();
      const denied = new KmsError('ERR_KMS_DENIED', 'denied');
      source.fault(operation, fail(denied));
      expect(await rejection(openBench({ source, fakeClock }), 'ERR_KMS_DENIED')).toBe(denied);
      await settle();
      expect(source.count('close')).toBe(1);
      expect(source.lent.every(isWiped)).toBe(true);
      await fakeClock.advance(5 * HOUR);
      expect(source.count('handOut')).toBeLessThanOrEqual(1);
    },
  );

  it('that fails half way keeps its reason when closing fails as well', async () => {
    const source = new MemorySource();
    source.fault('indexKeys', fail(new KmsError('ERR_KMS_DENIED', 'denied')));
    source.fault('close', fail(new Error('close failed')));
    await rejection(openBench({ source }), 'ERR_KMS_DENIED');
  });

  it('passes its reason on when the source can neither start nor close', async () => {
    const source = new MemorySource();
    const fakeClock = new FakeClock();
    source.fault('start', fail(new KmsError('ERR_KMS_DENIED', 'denied')));
    source.fault('close', hang);
    const opening = rejection(openBench({ source, fakeClock }), 'ERR_KMS_DENIED');
    await settle();
    await fakeClock.advance(MINUTE);
    await opening;
  });

  it('lets in no key that arrives after another purpose has failed', async () => {
    const source = new MemorySource();
    const slow = gate();
    source.fault('handOut', (call) =>
      call.purpose === 'reports'
        ? slow.fault(call)
        : Promise.reject(new KmsError('ERR_KMS_DENIED', 'denied')),
    );
    source.fault('indexKeys', slow.fault);
    const purposes = { [PURPOSE]: {}, reports: {} };
    await rejection(openBench({ source, purposes }), 'ERR_KMS_DENIED');
    slow.open();
    await settle();
    expect(source.lent).toHaveLength(5);
    expect(source.lent.every(isWiped)).toBe(true);
    expect(source.context.held('reports')).toEqual([]);
  });

  it('refuses index keys of other versions than the policy has', async () => {
    const purposes = { [PURPOSE]: { index: { versions: [2, 1] } } };
    const source = new MemorySource();
    source.garble = (key) => (key.version > 0 ? { ...key, version: 1 } : key);
    await rejection(openBench({ source, purposes }), 'ERR_KEY_COMMITMENT');
    const none = new MemorySource();
    none.indexKeys = () => Promise.resolve([]);
    await rejection(openBench({ source: none, purposes }), 'ERR_KEY_NOT_FOUND');
    expect(source.lent.every(isWiped)).toBe(true);
  });

  it.each<[unknown, string]>([
    [undefined, 'application: expected a name'],
    [{ application: 'shop', environment: '' }, 'environment: expected a name'],
    [{ aplication: 'shop' }, "aplication: there is no such option; did you mean 'application'?"],
    [{ application: 'shop', environment: 'test', purposes: {} }, 'purposes: expected at least one purpose'],
    [
      { application: 'shop', environment: 'test', purposes: { a: {} }, keys: {} },
      'keys: expected a key source',
    ],
  ])('names the option that is wrong: %j', async (options, message) => {
    const error = await rejection(createFieldSeal(options as FieldSealOptions), 'ERR_CONFIG_OPTION');
    expect(error.message).toContain(message);
  });

  it('leaves every pool warm: the first value is sealed without a call', async () => {
    const { seal, source } = await openBench({ purposes: { [PURPOSE]: {}, 'personal-data': {} } });
    const calls = source.calls.length;
    seal.seal('personal-data', 'people.name', 'Ada');
    expect(source.calls.length).toBe(calls);
    expect(source.lent.every(isWiped)).toBe(true);
  });
});

describe('a listener', () => {
  it('that throws or rejects disturbs nothing, and is counted', async () => {
    let events = 0;
    const onEvent = (): Promise<never> => {
      events += 1;
      if (events % 2 === 0) throw new Error('listener');
      return Promise.reject(new Error('listener'));
    };
    // An asynchronous listener is a mistake of the caller that types allow and this test makes.
    // eslint-disable-next-line @typescript-eslint/no-misused-promises
    const bench = await openBench({ onEvent });
    await bench.clock.advance(HOUR);
    bench.source.revoke([bench.source.keys(PURPOSE)[0]!]);
    await settle();
    expect(events).toBe(3);
    expect(bench.seal.stats().listenerErrors).toBe(3);
    sealPans(bench, [PAN]);
  });
});

describe('single values', () => {
  it.each([
    ['string', PAN],
    ['string', ''],
    ['number', 12.5],
    ['bigint', 2n ** 80n],
    ['boolean', false],
    ['date', new Date(0)],
    ['json', { a: [1, null] }],
    ['bytes', Buffer.from([1, 2, 3])],
  ] as const)('of type %s come back as they were: %s', async (type, value) => {
    const { seal } = await openBench();
    const cell = seal.seal(PURPOSE, 'cards.pan', value, { type });
    expect(await seal.open(PURPOSE, 'cards.pan', cell, { type })).toEqual(value);
  });

  it('open only under the same purpose, name, type and bound values', async () => {
    const { seal } = await openBench({ purposes: { [PURPOSE]: {}, reports: {} } });
    const bind = { id: 'a', tenant: 7, big: 7n, live: true, raw: Buffer.from([1]) };
    const cell = seal.seal(PURPOSE, 'cards.pan', PAN, { bind });
    expect(await seal.open(PURPOSE, 'cards.pan', cell, { bind })).toBe(PAN);
    expect(await seal.open(PURPOSE, 'cards.pan', cell, { bind: { ...bind, tenant: 7n } })).toBe(PAN);
    await rejection(seal.open('reports', 'cards.pan', cell, { bind }), 'ERR_KEY_NOT_FOUND');
    await rejection(seal.open(PURPOSE, 'cards.pan2', cell, { bind }), 'ERR_OPEN_FAILED');
    await rejection(seal.open(PURPOSE, 'cards.pan', cell, { bind, type: 'json' }), 'ERR_OPEN_FAILED');
    await rejection(seal.open(PURPOSE, 'cards.pan', cell, { bind: { ...bind, id: 'b' } }), 'ERR_OPEN_FAILED');
    await rejection(seal.open(PURPOSE, 'cards.pan', cell), 'ERR_OPEN_FAILED');
  });

  it('are padded on demand, and open with or without saying so', async () => {
    const { seal } = await openBench();
    const [short, long] = ['4', '4111111'].map((value) =>
      seal.seal(PURPOSE, 'cards.pan', value, { pad: 16 }),
    );
    expect(short!.length).toBe(long!.length);
    expect(await seal.open(PURPOSE, 'cards.pan', short!)).toBe('4');
  });

  it('are the same cells that pages open', async () => {
    const bench = await openBench();
    expect((await openPans(bench, [bench.seal.seal(PURPOSE, 'cards.pan', PAN)])).values).toEqual([PAN]);
    expect(await bench.seal.open(PURPOSE, 'cards.pan', sealPans(bench, [PAN]).cells[0]!)).toBe(PAN);
  });

  it('refuse what is not right, without showing the value', async () => {
    const { seal } = await openBench();
    thrown(() => seal.seal(PURPOSE, 'cards.pan', null), 'ERR_SEAL_TYPE');
    thrown(() => seal.seal(PURPOSE, 'cards.pan', undefined), 'ERR_SEAL_TYPE');
    expect(thrown(() => seal.seal(PURPOSE, 'cards.pan', 4111), 'ERR_SEAL_TYPE').message).not.toContain(
      '4111',
    );
    thrown(() => seal.seal(PURPOSE, 'cards', PAN), 'ERR_CONFIG_FIELD');
    thrown(() => seal.seal(PURPOSE, '.pan', PAN), 'ERR_CONFIG_FIELD');
    thrown(() => seal.seal(PURPOSE, 'cards.pan', PAN, { type: 'text' as 'string' }), 'ERR_CONFIG_FIELD');
    thrown(() => seal.seal(PURPOSE, 'cards.pan', PAN, { codec: 'json' } as object), 'ERR_CONFIG_OPTION');
    thrown(() => seal.seal(PURPOSE, 'cards.pan', PAN, { bind: {} }), 'ERR_SEAL_BINDING');
    thrown(
      () => seal.seal(PURPOSE, 'cards.pan', PAN, { bind: { id: null as unknown as string } }),
      'ERR_SEAL_BINDING',
    );
    const unknown = thrown(() => seal.seal('card-nmber', 'cards.pan', PAN), 'ERR_CONFIG_PURPOSE_UNKNOWN');
    expect(unknown.message).toContain("did you mean 'card-number'?");
    await rejection(seal.open(PURPOSE, 'cards.pan', PAN as unknown as Buffer), 'ERR_FORMAT_CELL');
    await rejection(seal.open(PURPOSE, 'cards.pan', Buffer.from(PAN)), 'ERR_FORMAT_CELL');
  });
});

describe('pages', () => {
  it('report cells that are not cells by their row, and open the rest', async () => {
    const bench = await openBench();
    const [cell] = sealPans(bench, [PAN]).cells;
    const torn = cell!.subarray(0, 40);
    const { values, failures } = await openPans(bench, [
      cell,
      null,
      torn,
      undefined,
      Buffer.from('4111'),
      cell,
    ]);
    expect(values).toEqual([PAN, null, undefined, null, undefined, PAN]);
    expect([...failures!].map(([row, error]) => [row, error.code])).toEqual([
      [2, 'ERR_FORMAT_CELL'],
      [4, 'ERR_FORMAT_CELL'],
    ]);
    expect(bench.seal.stats()).toMatchObject({ cellsOpened: 2, openFailures: 2 });
  });

  it('refuse a cell whose sibling column names another key, or whose bits were changed', async () => {
    const bench = await openBench();
    const { cells, fingerprints } = sealPans(bench, [PAN, PAN]);
    const changed = Buffer.from(cells[1]!);
    changed[changed.length - 1]! ^= 1;
    const [opened] = await bench.seal.openPage([
      {
        column: bench.pan,
        cells: [cells[0]!, changed],
        fingerprints: [bench.source.keys(PURPOSE)[4]!, fingerprints[1]!],
      },
    ]);
    expect([...opened!.failures!.values()].map((error) => error.code)).toEqual([
      'ERR_OPEN_FAILED',
      'ERR_OPEN_FAILED',
    ]);
  });

  it('seal nothing where there is nothing, even when the pool is stale', async () => {
    const bench = await openBench();
    bench.clock.setWallBy(5 * HOUR);
    expect(sealPans(bench, [null, undefined])).toEqual({
      cells: [null, null],
      fingerprints: [null, null],
      indexes: undefined,
    });
    thrown(() => sealPans(bench, [PAN]), 'ERR_POOL_STALE');
  });

  it('open without a promise where the keys are here, and with one where they have to be loaded', async () => {
    const bench = await openBench();
    const open = (cell: Buffer) => bench.seal.openPage([{ column: bench.pan, cells: [cell] }]);
    expect(open(sealPans(bench, [PAN]).cells[0]!)).toMatchObject([{ values: [PAN] }]);
    const elsewhere = open(cellUnder(bench.source, bench.source.keys(PURPOSE)[4]!));
    expect(elsewhere).toBeInstanceOf(Promise);
    expect(await elsewhere).toMatchObject([{ values: [PAN] }]);
  });

  it('without rows are nothing', async () => {
    const bench = await openBench();
    expect(await bench.seal.openPage([])).toEqual([]);
    expect((await openPans(bench, [])).values).toEqual([]);
    expect(bench.seal.sealRows([])).toEqual([]);
  });

  it('bind each cell to its row', async () => {
    const bench = await openBench();
    const column = bench.seal.column({
      purpose: PURPOSE,
      entity: 'cards',
      field: 'bound',
      codec: 'string',
      bound: true,
    });
    const bindings = [Buffer.from('row 1'), Buffer.from('row 2')];
    const [sealed] = bench.seal.sealRows([{ column, values: ['a', 'b'], bindings }]);
    const [right] = await bench.seal.openPage([{ column, cells: sealed!.cells, bindings }]);
    const [swapped] = await bench.seal.openPage([
      { column, cells: sealed!.cells, bindings: [...bindings].reverse() },
    ]);
    expect(right!.values).toEqual(['a', 'b']);
    expect(swapped!.failures?.size).toBe(2);
  });

  it('seal with the suite of the policy and open the suites it accepts', async () => {
    const source = new MemorySource();
    const xaes = { suite: 'xaes-256-gcm' } as const;
    const writer = await openBench({ source, purposes: { [PURPOSE]: xaes } });
    const { cells } = sealPans(writer, [PAN]);
    expect((await openPans(writer, cells)).values).toEqual([PAN]);
    const both = { accept: { suites: ['aes-256-siv', 'xaes-256-gcm'] } } as const;
    expect(
      (await openPans(await openBench({ source, purposes: { [PURPOSE]: both } }), cells)).values,
    ).toEqual([PAN]);
    const siv = await openBench({ source });
    expect((await openPans(siv, cells)).failures?.get(0)?.code).toBe('ERR_FORMAT_NOT_ACCEPTED');
  });
});

describe('columns', () => {
  it('declared twice alike are one; otherwise the second is refused', async () => {
    const { seal } = await openBench({ purposes: { [PURPOSE]: {}, reports: {} } });
    const normalize = (value: string): string => value.trim();
    const first = {
      purpose: PURPOSE,
      entity: 'people',
      field: 'name',
      codec: 'string',
      blindIndex: { normalize },
    } as const;
    const column = seal.column(first);
    expect(seal.column({ ...first, pad: 0, bound: false })).toBe(column);
    const others = [
      { purpose: 'reports' },
      { codec: 'json' },
      { pad: 16 },
      { bound: true },
      { blindIndex: { normalize: (value: string): string => value } },
    ] as const;
    for (const other of others) {
      const error = thrown(() => seal.column({ ...first, ...other }), 'ERR_CONFIG_DUPLICATE_CONTEXT');
      expect(error.message).toContain(Object.keys(other)[0]);
    }
    const { purpose, entity, field, codec } = first;
    thrown(() => seal.column({ purpose, entity, field, codec }), 'ERR_CONFIG_DUPLICATE_CONTEXT');
  });

  it('of another field seal are refused', async () => {
    const bench = await openBench();
    const other = await openBench();
    thrown(() => other.seal.sealRows([{ column: bench.pan, values: [PAN] }]), 'ERR_CONFIG_FIELD');
    await rejection(
      (async () => other.seal.openPage([{ column: bench.pan, cells: [] }]))(),
      'ERR_CONFIG_FIELD',
    );
  });

  it('of an unknown purpose or without a name are refused', async () => {
    const { seal } = await openBench();
    const column = { purpose: PURPOSE, entity: 'cards', field: 'x', codec: 'string' } as const;
    thrown(() => seal.column({ ...column, purpose: 'constructor' }), 'ERR_CONFIG_PURPOSE_UNKNOWN');
    thrown(() => seal.column({ ...column, entity: '' }), 'ERR_CONFIG_FIELD');
    thrown(() => seal.column({ ...column, pad: 256 }), 'ERR_CONFIG_FIELD');
  });
});

describe('blind indexes', () => {
  const lower = { normalize: (value: string) => value.toLowerCase() };

  it('of sealed values are found by searching equal ones, normalised', async () => {
    const { seal } = await openBench();
    const column = seal.column({
      purpose: PURPOSE,
      entity: 'people',
      field: 'mail',
      codec: 'string',
      blindIndex: lower,
    });
    const [sealed] = seal.sealRows([{ column, values: ['Ada@x.org', null, 'bob@x.org'] }]);
    expect(sealed!.indexes![1]).toBeNull();
    expect(sealed!.indexes![0]).toHaveLength(16);
    expect(seal.searchIndexes(column, 'ADA@x.org')).toEqual([sealed!.indexes![0]]);
    expect(seal.searchIndexes(column, 'eve@x.org')).not.toEqual([sealed!.indexes![0]]);
  });

  it('are searched under every version; the first one writes', async () => {
    const { seal } = await openBench({ purposes: { [PURPOSE]: { index: { versions: [2, 1] } } } });
    const column = seal.column({
      purpose: PURPOSE,
      entity: 'people',
      field: 'mail',
      codec: 'string',
      blindIndex: {},
    });
    const [sealed] = seal.sealRows([{ column, values: ['ada'] }]);
    const searched = seal.searchIndexes(column, 'ada');
    expect(searched).toHaveLength(2);
    expect(searched[0]).toEqual(sealed!.indexes![0]);
    expect(searched[1]).not.toEqual(searched[0]);
  });

  it('refuse a value of another type before normalize sees it', async () => {
    const bench = await openBench();
    const seen: unknown[] = [];
    const mail = bench.seal.column({
      ...{ purpose: PURPOSE, entity: 'people', field: 'mail', codec: 'string' },
      blindIndex: {
        normalize: (value: string) => {
          seen.push(value);
          return value.trim();
        },
      },
    });
    thrown(() => bench.seal.sealRows([{ column: mail, values: [42] }]), 'ERR_SEAL_TYPE');
    thrown(() => bench.seal.searchIndexes(mail, 42), 'ERR_SEAL_TYPE');
    expect(seen).toEqual([]);
  });

  it('refuse columns without one, nothing to search, and a normalize that fails, which could quote the value', async () => {
    const bench = await openBench();
    const { seal } = bench;
    thrown(() => seal.searchIndexes(bench.pan, PAN), 'ERR_QUERY_NO_BLIND_INDEX');
    const blindIndex = {
      normalize: (value: string) => {
        if (value === 'null') return null;
        throw new Error(`cannot take ${value}`);
      },
    };
    const column = seal.column({
      purpose: PURPOSE,
      entity: 'people',
      field: 'mail',
      codec: 'string',
      blindIndex,
    });
    thrown(() => seal.searchIndexes(column, null), 'ERR_SEAL_TYPE');
    thrown(() => seal.searchIndexes(column, 'null'), 'ERR_SEAL_VALUE');
    const error = thrown(() => seal.sealRows([{ column, values: ['secret'] }]), 'ERR_SEAL_VALUE');
    expect(inspect(error)).not.toContain('secret');
  });

  it('stop when their key is revoked, which is told once', async () => {
    const { seal, source, events } = await openBench();
    const column = seal.column({
      purpose: PURPOSE,
      entity: 'people',
      field: 'mail',
      codec: 'string',
      blindIndex: {},
    });
    const held = source.context.held(PURPOSE);
    source.revoke(held);
    thrown(() => seal.searchIndexes(column, 'ada'), 'ERR_KEY_CLOSED');
    // Behind a pooler what is held is looked up every 15 seconds.
    source.revoke(held);
    expect(events.filter(({ type }) => type === 'key-revoked')).toHaveLength(held.length);
    expect(source.context.held(PURPOSE)).toEqual([]);
  });
});

describe('a closed field seal', () => {
  it('throws ERR_CLOSED everywhere, holds no key and runs no timer; closing twice is nothing', async () => {
    const bench = await openBench();
    const { seal, source, clock, pan } = bench;
    const cell = seal.seal(PURPOSE, 'cards.pan', PAN);
    const closing = seal.close();
    expect(seal.close()).toBe(closing);
    await closing;
    thrown(() => seal.seal(PURPOSE, 'cards.pan', PAN), 'ERR_CLOSED');
    thrown(() => sealPans(bench, [PAN]), 'ERR_CLOSED');
    thrown(() => seal.searchIndexes(pan, PAN), 'ERR_CLOSED');
    thrown(() => seal.column({ purpose: PURPOSE, entity: 'a', field: 'b', codec: 'string' }), 'ERR_CLOSED');
    await rejection(seal.open(PURPOSE, 'cards.pan', cell), 'ERR_CLOSED');
    await rejection(openPans(bench, [cell]), 'ERR_CLOSED');
    await rejection(seal.prepare([]), 'ERR_CLOSED');
    expect(source.count('close')).toBe(1);
    expect(clock.armed).toBe(0);
    const calls = source.calls.length;
    await clock.advance(5 * HOUR);
    expect(source.calls.length).toBe(calls);
    expect(seal.stats().pools[PURPOSE]!.keys).toBe(0);
  });

  it('wipes the keys of a refresh that was under way, and tells no events any more', async () => {
    const bench = await openBench();
    const slow = gate();
    bench.source.fault('handOut', slow.fault);
    // Jitter decides when the refresh begins; its time limit of a minute must not end it before the test does.
    while (bench.source.count('handOut') === 1) await bench.clock.advance(MINUTE / 2);
    const events = bench.events.length;
    await bench.seal.close();
    slow.open();
    await settle();
    expect(bench.source.lent.every(isWiped)).toBe(true);
    expect(bench.events.length).toBe(events);
    expect(bench.clock.armed).toBe(0);
  });

  it('waits 5 seconds for a source that does not end, and then says so instead of throwing', async () => {
    const bench = await openBench();
    bench.source.fault('close', hang);
    const closing = bench.seal.close();
    await settle();
    await bench.clock.advance(5_000);
    await closing;
    expect(bench.events.at(-1)).toEqual({
      type: 'warning',
      code: 'ERR_KEY_UNAVAILABLE',
      message: expect.stringContaining('within 5 s') as string,
    });
  });

  it('passes on that its source could not be closed', async () => {
    const bench = await openBench();
    bench.source.fault('close', fail(new KmsError('ERR_KMS_UNAVAILABLE', 'cannot close')));
    await rejection(bench.seal.close(), 'ERR_KMS_UNAVAILABLE');
    thrown(() => sealPans(bench, [PAN]), 'ERR_CLOSED');
  });
});

it('a field seal prints application, environment and purposes, and nothing else', async () => {
  const { seal } = await openBench({ purposes: { [PURPOSE]: { class: 'pan' } } });
  expect(JSON.parse(JSON.stringify(seal))).toEqual({
    application: 'shop',
    environment: 'test',
    access: 'read-write',
    purposes: [PURPOSE],
  });
  expect(inspect(seal, { depth: 9, showHidden: true })).toBe(
    "FieldSeal { application: 'shop', environment: 'test', access: 'read-write', purposes: [ 'card-number' ] }",
  );
});

it('a field seal is known by its brand, in any copy of the package', async () => {
  const { seal } = await openBench();
  expect(isFieldSeal(seal)).toBe(true);
  expect(isFieldSeal({})).toBe(false);
  expect(Symbol.for('fieldseal/field-seal') in seal).toBe(true);
});

it('stats count cells, failures, loads and KMS calls', async () => {
  const bench = await openBench();
  const { cells } = sealPans(bench, [PAN, null, PAN]);
  await openPans(bench, cells);
  const stats = bench.seal.stats();
  expect(stats).toMatchObject({
    cellsSealed: 2,
    cellsOpened: 2,
    openFailures: 0,
    unwraps: 0,
    keyringSize: 0,
  });
  expect(stats.kmsCalls).toEqual({ Decrypt: 4 });
  expect(stats.pools).toEqual({ [PURPOSE]: { keys: 3, ageMs: 0, outageMinutes: 120 } });
});
