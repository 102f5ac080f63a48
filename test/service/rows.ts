/** Rows of a key store made by hand, for tests that need no key behind them. */
import type { KeyRecord, Wrap } from '../../src/keys/ports.js';
import type { KeyState } from '../../src/keys/states.js';
import { SCOPE, START } from './fixture.js';

export const KEK_A = 'arn:aws:kms:eu-central-1:000000000000:key/11111111-1111-4111-8111-111111111111';
export const KEK_B = 'arn:aws:kms:eu-central-1:000000000000:key/22222222-2222-4222-8222-222222222222';

/** Key number `i` of the scope; its fingerprint tells the number. */
export function dataKey(state: KeyState, i: number, retires: number | null = null, kek = KEK_A): KeyRecord {
  return {
    ...SCOPE,
    fingerprint: uuid(i),
    kind: 'data',
    version: 0,
    state,
    stateBefore: null,
    commitment: Buffer.alloc(32, 1),
    publicKey: null,
    created: new Date(START),
    activates: null,
    retires: retires === null ? null : new Date(retires),
    destroysAfter: null,
    cells: 0,
    bytes: 0,
    prefixes: 0,
    revision: 1,
    rowMac: Buffer.alloc(32),
    wraps: [wrapUnder(kek, i)],
  };
}

export function wrapUnder(kek: string, i: number): Wrap {
  return {
    kek,
    keyMaterialId: null,
    wrapId: uuid(i),
    wrapped: Buffer.alloc(150, 2),
    created: new Date(START),
  };
}

export function uuid(i: number): string {
  return `00000000-0000-8000-8000-${String(i).padStart(12, '0')}`;
}
