import { describe, expect, it } from 'vitest';
import {
  callback,
  contextName,
  duration,
  flag,
  group,
  listOf,
  mapOf,
  objectWith,
  oneOf,
  optional,
  parseOptions,
  secret,
  text,
  wholeNumber,
  withDefault,
} from '../../src/keys/options.js';
import { postgresKeyStore } from '../../src/store/postgres.js';
import { thrown } from './seal-fixture.js';

const table = {
  size: withDefault(wholeNumber(1, 1_000), 15),
  wait: withDefault(duration(1_000), 5_000),
  mode: optional(oneOf(['fast', 'safe'])),
  on: withDefault(flag(), false),
  label: optional(text()),
  owner: optional(contextName()),
  inner: group({ depth: withDefault(wholeNumber(0, 9), 3) }),
  names: withDefault(listOf(text(), 1), ['a']),
  keks: optional(mapOf(listOf(text()))),
  sink: optional(objectWith<{ write(): void }>('a sink', ['write'])),
  done: optional(callback()),
};

const messageOf = (value: unknown): string =>
  thrown(() => parseOptions(table, value, 'thing'), 'ERR_CONFIG_OPTION').message;

describe('options', () => {
  it('that are left out, or undefined, get their defaults', () => {
    const parsed = parseOptions(table, { size: undefined }, 'thing');
    expect(parsed).toMatchObject({ size: 15, wait: 5_000, on: false, inner: { depth: 3 }, names: ['a'] });
    expect(parsed.mode).toBeUndefined();
    expect(parseOptions(table, undefined, 'thing')).toEqual(parsed);
  });

  it('are frozen, all the way', () => {
    const parsed = parseOptions(table, { names: ['x'] }, 'thing');
    expect([parsed, parsed.inner, parsed.names].every(Object.isFrozen)).toBe(true);
  });

  it.each([
    [{ siez: 1 }, "thing.siez: there is no such option; did you mean 'size'?"],
    [{ inner: { dept: 1 } }, "thing.inner.dept: there is no such option; did you mean 'depth'?"],
    [{ inner: { banana: 1 } }, 'thing.inner.banana: there is no such option; known options are depth'],
  ])('of an unknown name are refused with the nearest known one: %j', (value, message) => {
    expect(messageOf(value)).toBe(message);
  });

  it.each([
    [{ size: 0 }, 'thing.size: expected a whole number from 1 to 1,000, got 0.'],
    [{ size: 1.5 }, 'got 1.5.'],
    [{ size: Number.NaN }, 'got NaN.'],
    [{ size: '15' }, 'got a string of 2 characters.'],
    [{ size: null }, 'got null.'],
    [{ wait: '15 minutes' }, "got '15 minutes'."],
    [{ wait: '999ms' }, 'at least 1,000 ms'],
    [{ wait: -5 }, 'got -5.'],
    [{ wait: '4000d' }, 'at most 3,650 d'],
    [{ wait: Infinity }, 'got Infinity.'],
    [{ wait: true }, 'got true.'],
    [{ mode: 'quick' }, "thing.mode: expected one of 'fast', 'safe', got 'quick'."],
    [{ mode: 'x'.repeat(100) }, 'got a string of 100 characters.'],
    [{ on: 1 }, 'thing.on: expected true or false, got 1.'],
    [{ label: '' }, 'got a string of 0 characters.'],
    [{ owner: 'a\u0000b' }, 'without control characters'],
    [{ owner: 'a\ud800b' }, 'Unicode NFC'],
    [{ owner: 'e\u0301' }, 'Unicode NFC'],
    [{ owner: 'a'.repeat(129) }, 'got a string of 129 characters.'],
    [{ inner: 5 }, 'thing.inner: expected an object, got 5.'],
    [{ inner: [1, 2] }, 'got an array of 2.'],
    [{ names: [] }, 'thing.names: expected a list of at least 1, got an array of 0.'],
    [{ names: ['a', 5] }, 'thing.names[1]: expected a string'],
    [{ names: new Array<string>(2) }, 'thing.names[0]: expected a string'],
    [{ keks: { 'card-number': 'alias/a' } }, 'thing.keks.card-number: expected a list'],
    [{ sink: {} }, 'thing.sink: expected a sink (an object with write), got an object.'],
    [{ done: 'then' }, 'thing.done: expected a function'],
    [null, 'thing: expected an object, got null.'],
    ['text', 'thing: expected an object, got a string of 4 characters.'],
  ])('that are wrong are named with what was expected and what was got: %j', (value, message) => {
    expect(messageOf(value)).toContain(message);
  });

  it('never show a string of unknown origin', () => {
    const secret = 'AKIA0123456789SECRET';
    for (const option of ['size', 'on', 'inner', 'names', 'keks', 'sink', 'done']) {
      expect(messageOf({ [option]: secret })).not.toContain(secret);
    }
  });

  it.each(['hunter2', 'postgres://me:hunter2@db/keys'])('beside a secret repeat no word: %#', (given) => {
    const beside = {
      password: secret(optional(text())),
      wait: optional(duration()),
      inner: group({ mode: optional(oneOf(['fast', 'safe'])) }),
      modes: optional(listOf(oneOf(['fast', 'safe']))),
      waits: optional(mapOf(duration())),
    };
    for (const options of [
      ...[{ wait: given }, { inner: { mode: given } }, { modes: [given] }, { waits: { a: given } }],
    ]) {
      const error = thrown(() => parseOptions(beside, options, 'thing'), 'ERR_CONFIG_OPTION');
      expect(error.message).toContain(`got a string of ${given.length} characters`);
    }
  });

  it.each(['connectTimeout', 'statementTimeout', 'lockTimeout', 'max', 'pool', 'watch'])(
    'of a key store do not repeat the password that was given as %s',
    (option) => {
      const options = { connectionString: 'postgres://db/keys', [option]: 'hunter2' };
      const error = thrown(() => postgresKeyStore(options), 'ERR_CONFIG_OPTION');
      expect(error.message).toContain(`postgresKeyStore.${option}`);
      expect(error.message).not.toContain('hunter2');
    },
  );

  it('stand at the top without a path', () => {
    expect(thrown(() => parseOptions(table, { size: 0 }, ''), 'ERR_CONFIG_OPTION').message).toMatch(
      /^size: /,
    );
    expect(thrown(() => parseOptions(table, 1, ''), 'ERR_CONFIG_OPTION').message).toMatch(/^options: /);
  });

  it('are taken from the object itself, not from what a prototype was given', () => {
    const polluted = Object.create({ size: 3 }) as object;
    expect(parseOptions(table, polluted, 'thing').size).toBe(15);
    expect(messageOf(JSON.parse('{"__proto__": {}}'))).toContain('there is no such option');
  });

  it('with names of the caller become a map', () => {
    const { keks } = parseOptions(
      table,
      { keks: JSON.parse('{"__proto__": ["a"], "b": []}') as unknown },
      'thing',
    );
    expect([...keks!]).toEqual([
      ['__proto__', ['a']],
      ['b', []],
    ]);
  });
});

it.each([
  ['90s', 90_000],
  ['15m', 900_000],
  ['2h', 7_200_000],
  ['30d', 2_592_000_000],
  ['250ms', 250],
  ['1.5h', 5_400_000],
  [1_234, 1_234],
  [0, 0],
])('the duration %s is %d ms', (value, ms) => {
  expect(duration()(value, 'wait')).toBe(ms);
});

it.each(['', 's', '5', '5 s', '5S', '-5s', '1e3s', '5w', '٣s'])('%j is not a duration', (value) => {
  thrown(() => duration()(value, 'wait'), 'ERR_CONFIG_OPTION');
});
