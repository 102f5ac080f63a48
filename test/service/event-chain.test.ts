import { randomBytes } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { StoreKey } from '../../src/cell/store-key.js';
import type { KeyEvent } from '../../src/keys/ports.js';
import { EventChain, type KeyMove } from '../../src/service/event-chain.js';
import { hasCode, SCOPE, START } from './fixture.js';
import { uuid } from './rows.js';

const key = StoreKey.derive(randomBytes(32), SCOPE);
const events = chainOf([born(1), born(2), moved(1), born(3)]);
const broken = hasCode('ERR_STORE_EVENTS');

afterAll(() => {
  key.close();
});

describe('the event chain', () => {
  it('begins with 32 zero bytes and numbers its events from 1', () => {
    expect(events[0]!.previous).toEqual(Buffer.alloc(32));
    expect(events.map((event) => event.seq)).toEqual([1, 2, 3, 4]);
    expect(events[2]!.previous).toEqual(events[1]!.hash);
  });

  it('verifies from its start and knows the state of every key', () => {
    const chain = new EventChain(SCOPE).extend(key, events);
    expect(chain.seq).toBe(4);
    expect([1, 2, 3, 4].map((i) => chain.state(uuid(i)))).toEqual(['ENCRYPT', 'FUTURE', 'FUTURE', undefined]);
  });

  it('goes on from its head, which is read again and compared', () => {
    const known = new EventChain(SCOPE).extend(key, events.slice(0, 2));
    expect(known.readFrom).toBe(2);
    expect(known.extend(key, events.slice(1)).seq).toBe(4);
    expect(known.seq).toBe(2);
  });

  it.each(['who', 'why', 'at', 'fingerprint', 'from', 'to', 'seq', 'previous', 'hash', 'mac'] as const)(
    'refuses an event whose %s was changed',
    (column) => {
      const changes: Partial<KeyEvent> = {
        who: 'mallory',
        why: 'nothing',
        at: new Date(START + 1),
        fingerprint: uuid(7),
        from: 'DECRYPT',
        to: 'DECRYPT',
        seq: 9,
        previous: randomBytes(32),
        hash: randomBytes(32),
        mac: randomBytes(32),
      };
      const forged = events.map((event, i) => (i === 2 ? { ...event, [column]: changes[column] } : event));
      expect(() => new EventChain(SCOPE).extend(key, forged)).toThrow(broken);
    },
  );

  it('refuses events left out, swapped, repeated, or of another store key or scope', () => {
    const [a, b, c, d] = events as [KeyEvent, KeyEvent, KeyEvent, KeyEvent];
    for (const forged of [
      [b, c, d],
      [a, c, d],
      [a, c, b, d],
      [a, a, b, c],
    ]) {
      expect(() => new EventChain(SCOPE).extend(key, forged)).toThrow(broken);
    }
    const stranger = StoreKey.derive(randomBytes(32), SCOPE);
    expect(() => new EventChain(SCOPE).extend(stranger, events)).toThrow(broken);
    expect(() => new EventChain({ ...SCOPE, purpose: 'other' }).extend(key, events)).toThrow(broken);
    stranger.close();
  });

  it('notices that its head is gone, or is another event', () => {
    const chain = new EventChain(SCOPE).extend(key, events);
    expect(() => chain.extend(key, [])).toThrow(broken);
    const rewritten = chainOf([born(1), born(2), moved(1), born(5)]);
    expect(() => chain.extend(key, rewritten.slice(3))).toThrow(broken);
  });

  it('cannot be continued by somebody who knows the hashes but not the store key', () => {
    const guesser = StoreKey.derive(randomBytes(32), SCOPE);
    const { event } = new EventChain(SCOPE).extend(key, events).append(guesser, born(4));
    expect(() => new EventChain(SCOPE).extend(key, [...events, event])).toThrow(broken);
    guesser.close();
  });
});

function chainOf(moves: readonly KeyMove[]): KeyEvent[] {
  let chain = new EventChain(SCOPE);
  return moves.map((move) => {
    const next = chain.append(key, move);
    chain = next.chain;
    return next.event;
  });
}

function born(i: number): KeyMove {
  return {
    at: new Date(START),
    who: 'test',
    fingerprint: uuid(i),
    from: null,
    to: 'FUTURE',
    why: 'made ahead',
  };
}

function moved(i: number): KeyMove {
  return {
    at: new Date(START),
    who: 'test',
    fingerprint: uuid(i),
    from: 'FUTURE',
    to: 'ENCRYPT',
    why: 'its time',
  };
}
