import { describe, expect, it } from 'vitest';
import type { FieldSealEvent } from '../../src/keys/events.js';
import { parsePolicy } from '../../src/keys/policy.js';
import { checkConfiguredKeks, chooseKeks, kekIdentity, kekOfAllKeys } from '../../src/service/kek-spread.js';
import { hasCode } from './fixture.js';
import { dataKey, KEK_A, KEK_B, wrapUnder } from './rows.js';

const REPLICA_EU = 'arn:aws:kms:eu-central-1:000000000000:key/mrk-1234';
const REPLICA_US = 'arn:aws:kms:us-east-1:000000000000:key/mrk-1234';
const first = (): number => 0;

describe('the spread over KEKs', () => {
  it('gives the next key to the KEK with the fewest keys', () => {
    const keys = [dataKey('ENCRYPT', 1), dataKey('FUTURE', 2), dataKey('ENCRYPT', 3, null, KEK_B)];
    expect(chooseKeks(3, [KEK_A, KEK_B], keys, first)).toEqual([KEK_B, KEK_A, KEK_B]);
  });

  it('chooses at random among KEKs with as many keys', () => {
    expect(chooseKeks(1, [KEK_A, KEK_B], [], () => 1)).toEqual([KEK_B]);
    expect(chooseKeks(1, [KEK_A, KEK_B], [], () => 0)).toEqual([KEK_A]);
  });

  it('does not count keys that seal no more, so that a new KEK does not get all new keys', () => {
    const old = [1, 2, 3, 4].map((i) => dataKey('DECRYPT', i));
    expect(chooseKeks(4, [KEK_A, KEK_B], old, first).filter((kek) => kek === KEK_A)).toHaveLength(2);
  });

  it('counts replicas of a multi-region key as one', () => {
    expect(kekIdentity(REPLICA_EU)).toBe(kekIdentity(REPLICA_US));
    expect(kekIdentity(KEK_A)).not.toBe(kekIdentity(KEK_B));
    const keys = [dataKey('ENCRYPT', 1, null, REPLICA_EU), dataKey('ENCRYPT', 2, null, REPLICA_US)];
    expect(kekOfAllKeys(keys)).toBe(kekIdentity(REPLICA_EU));
  });

  it('finds the KEK that could open all keys by one of their wraps', () => {
    const both = { ...dataKey('DECRYPT', 1), wraps: [wrapUnder(KEK_A, 1), wrapUnder(KEK_B, 2)] };
    expect(kekOfAllKeys([both, dataKey('ENCRYPT', 2, null, KEK_B)])).toBe(KEK_B);
    expect(kekOfAllKeys([dataKey('ENCRYPT', 1), dataKey('ENCRYPT', 2, null, KEK_B)])).toBeUndefined();
  });

  it('does not call a single key badly spread, and forgets destroyed ones', () => {
    expect(kekOfAllKeys([dataKey('ENCRYPT', 1)])).toBeUndefined();
    expect(kekOfAllKeys([dataKey('ENCRYPT', 1), dataKey('DESTROYED', 2)])).toBeUndefined();
    expect(kekOfAllKeys([])).toBeUndefined();
  });

  it('warns of one KEK, and refuses it where the policy asks for a spread', () => {
    const events: FieldSealEvent[] = [];
    const emit = (event: FieldSealEvent): void => void events.push(event);
    checkConfiguredKeks(parsePolicy('card-number'), [REPLICA_EU, REPLICA_US], emit);
    expect(events).toMatchObject([{ type: 'warning', code: 'ERR_CONFIG_KEK_SPREAD' }]);
    const strict = parsePolicy('card-number', { requireKekSpread: true });
    expect(() => {
      checkConfiguredKeks(strict, [REPLICA_EU, REPLICA_US], emit);
    }).toThrow(hasCode('ERR_CONFIG_KEK_SPREAD'));
    checkConfiguredKeks(strict, [KEK_A, KEK_B], emit);
    expect(events).toHaveLength(1);
  });
});
