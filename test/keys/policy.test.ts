import { describe, expect, it } from 'vitest';
import { parsePolicies, parsePolicy } from '../../src/keys/policy.js';
import { thrown } from './seal-fixture.js';

const DAY = 86_400_000;

const messageOf = (options: unknown): string =>
  thrown(() => parsePolicy('card-number', options), 'ERR_CONFIG_OPTION').message;

describe('the policy of a purpose', () => {
  it('has a default for everything', () => {
    expect(parsePolicy('card-number')).toEqual({
      purpose: 'card-number',
      pool: { validKeys: 15, handOut: 3, lifetimeMs: DAY / 24, futureKeys: 3 },
      key: {
        sealForMs: 30 * DAY,
        openCacheMs: DAY / 12,
        maxCells: 2 ** 40,
        maxBytes: 2 ** 50,
        recryptWithinMs: 335 * DAY,
      },
      outage: { sealMs: DAY / 24 },
      requireKekSpread: false,
      suite: 'aes-256-siv',
      delivery: 'pool',
      reuse: undefined,
      envelope: { unwrapsPerPage: 1_000 },
      sealed: { sessionsPerPage: 1_000 },
      accept: { suites: ['aes-256-siv'], deliveries: ['pool'] },
      index: { source: 'local', versions: [1] },
      backupRetentionMs: 35 * DAY,
      keyStoreBackupRetentionMs: 35 * DAY,
      drainMs: DAY / 24,
      storeKey: undefined,
      class: undefined,
    });
  });

  it('takes what is given, durations in milliseconds', () => {
    const policy = parsePolicy('card-number', {
      pool: { validKeys: 2, lifetime: '15m' },
      suite: 'xaes-256-gcm',
      index: { versions: [2, 1] },
      class: 'pan',
    });
    expect(policy).toMatchObject({
      pool: { validKeys: 2, handOut: 2, lifetimeMs: 900_000 },
      outage: { sealMs: 900_000 },
      accept: { suites: ['xaes-256-gcm'] },
      index: { source: 'local', versions: [2, 1] },
      class: 'pan',
    });
    expect(parsePolicy('card-number', { index: 'local' }).index.versions).toEqual([1]);
    expect(parsePolicy('card-number', { delivery: 'envelope', index: 'later' })).toMatchObject({
      delivery: 'envelope',
      reuse: undefined,
      envelope: { unwrapsPerPage: 1_000 },
      accept: { deliveries: ['envelope'] },
      index: { source: 'later', versions: [1] },
    });
    const reuse = { cells: 1_000, for: '5m' } as const;
    expect(parsePolicy('card-number', { delivery: { envelope: { reuse } } })).toMatchObject({
      delivery: 'envelope',
      reuse: { cells: 1_000, forMs: 300_000 },
    });
    expect(parsePolicy('card-number', { delivery: 'sealed' })).toMatchObject({
      delivery: 'sealed',
      reuse: undefined,
      accept: { deliveries: ['sealed'] },
    });
    expect(parsePolicy('card-number', { delivery: { sealed: { reuse, sessionsPerPage: 7 } } })).toMatchObject(
      {
        delivery: 'sealed',
        reuse: { cells: 1_000, forMs: 300_000 },
        sealed: { sessionsPerPage: 7 },
      },
    );
  });

  it('has no index keys with envelope delivery unless it names an index', () => {
    const versionsOf = (options: object) => parsePolicy('card-number', options).index.versions;
    expect(versionsOf({ delivery: 'envelope' })).toEqual([]);
    for (const index of ['local', 'later', {}])
      expect(versionsOf({ delivery: 'envelope', index })).toEqual([1]);
    for (const delivery of ['pool', 'sealed']) expect(versionsOf({ delivery })).toEqual([1]);
  });

  it('is frozen, all the way', () => {
    const policy = parsePolicy('card-number', { accept: { suites: ['aes-256-siv'] } });
    const parts = [
      policy,
      policy.pool,
      policy.key,
      policy.outage,
      policy.accept,
      policy.accept.suites,
      policy.index,
    ];
    expect(parts.every(Object.isFrozen)).toBe(true);
    expect(Object.isFrozen(policy.index.versions)).toBe(true);
  });

  it.each([
    [
      { pool: { validKeys: 0 } },
      'purposes.card-number.pool.validKeys: expected a whole number from 1 to 1,000, got 0.',
    ],
    [
      { pool: { validKeys: 2, handOut: 3 } },
      'purposes.card-number.pool.handOut: expected at most pool.validKeys (2), got 3.',
    ],
    [{ pool: { lifetime: '30d' } }, 'purposes.card-number.pool.lifetime: expected less than key.sealFor'],
    [{ pool: { lifetime: 999 } }, 'at least 1,000 ms'],
    [{ pool: { futureKeys: 0 } }, 'purposes.card-number.pool.futureKeys'],
    [{ key: { sealFor: '1h' } }, 'purposes.card-number.pool.lifetime: expected less than key.sealFor'],
    [{ key: { maxCells: 0 } }, 'purposes.card-number.key.maxCells'],
    [{ accept: { suites: [] } }, 'purposes.card-number.accept.suites'],
    [
      { accept: { suites: ['xaes-256-gcm'] } },
      "expected a list with 'aes-256-siv', which the purpose writes",
    ],
    [{ suite: 'aes-128-cbc' }, "expected one of 'aes-256-siv', 'xaes-256-gcm', got 'aes-128-cbc'."],
    [{ delivery: 'letter' }, "purposes.card-number.delivery: expected one of 'pool', 'envelope'"],
    [{ delivery: {} }, 'purposes.card-number.delivery: expected'],
    [{ delivery: { envelope: {}, sealed: {} } }, 'purposes.card-number.delivery: expected one of'],
    [{ delivery: { pool: {} } }, 'purposes.card-number.delivery.pool: there is no such option'],
    [
      { delivery: { sealed: { reuse: { cells: 0, for: '5m' } } } },
      'delivery.sealed.reuse.cells: expected a whole number from 1',
    ],
    [{ delivery: { sealed: { sessionsPerPage: 0 } } }, 'delivery.sealed.sessionsPerPage'],
    [{ delivery: { envelop: {} } }, "did you mean 'envelope'"],
    [
      { delivery: { envelope: { reuse: {} } } },
      'delivery.envelope.reuse.cells: expected a whole number from 1',
    ],
    [
      { delivery: { envelope: { reuse: { cells: 10 } } } },
      'delivery.envelope.reuse.for: expected a duration',
    ],
    [{ delivery: { envelope: { reuse: { cells: 10, for: '2h' } } } }, 'at most 3,600,000 ms'],
    [{ delivery: { envelope: { unwrapsPerPage: 0 } } }, 'delivery.envelope.unwrapsPerPage'],
    [{ accept: { deliveries: ['envelope'] } }, "accept.deliveries: expected a list with 'pool'"],
    [{ index: 'never' }, "index.source: expected one of 'local', 'later'"],
    [{ index: { versions: [] } }, 'purposes.card-number.index.versions'],
    [{ index: { versions: [1, 1] } }, 'purposes.card-number.index.versions: expected each version once'],
    [{ index: { versions: [256] } }, 'purposes.card-number.index.versions[0]'],
    [{ storeKey: 'F5' }, 'purposes.card-number.storeKey: expected a fingerprint'],
    [{ class: 'card' }, 'purposes.card-number.class'],
    [
      { pool: { validKey: 3 } },
      "purposes.card-number.pool.validKey: there is no such option; did you mean 'validKeys'?",
    ],
  ])('refuses %j', (options, message) => {
    expect(messageOf(options)).toContain(message);
  });
});

describe('purposes', () => {
  it.each(['', 'Card', 'card_number', '-card', 'card-', 'card--number', 'a'.repeat(65), 'cärd'])(
    'refuse the name %j',
    (name) => {
      expect(thrown(() => parsePolicies({ [name]: {} }), 'ERR_CONFIG_OPTION').message).toContain(
        'purposes: expected',
      );
    },
  );

  it('may be named like the properties of every object', () => {
    expect([...parsePolicies({ constructor: {}, tostring: {} }).keys()]).toEqual(['constructor', 'tostring']);
  });

  it('are at least one', () => {
    thrown(() => parsePolicies({}), 'ERR_CONFIG_OPTION');
    thrown(() => parsePolicies(undefined), 'ERR_CONFIG_OPTION');
  });
});
