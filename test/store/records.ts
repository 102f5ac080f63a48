/** Rows for tests. Their bytes are random: the store knows no keys. */
import { randomBytes, randomUUID } from 'node:crypto';
import type { KeyEvent, KeyRecord, KeyScope } from '../../src/keys/ports.js';

export const SCOPE: KeyScope = { application: 'shop', environment: 'test', purpose: 'card-number' };

export function aKey(parts: Partial<KeyRecord> = {}): KeyRecord {
  return {
    ...SCOPE,
    fingerprint: randomUUID(),
    kind: 'data',
    version: 0,
    state: 'ENCRYPT',
    stateBefore: null,
    commitment: randomBytes(32),
    publicKey: null,
    created: new Date(),
    activates: null,
    retires: new Date(),
    destroysAfter: null,
    cells: 0,
    bytes: 0,
    prefixes: 0,
    revision: 1,
    rowMac: randomBytes(32),
    wraps: [
      {
        kek: 'kek',
        keyMaterialId: null,
        wrapId: randomUUID(),
        wrapped: randomBytes(184),
        created: new Date(),
      },
    ],
    ...parts,
  };
}

export function anEvent(
  seq: number,
  { application, environment, purpose, fingerprint }: KeyRecord,
): KeyEvent {
  const [previous, hash, mac] = [randomBytes(32), randomBytes(32), randomBytes(32)];
  const move = { from: null, to: 'ENCRYPT', why: 'test', who: 'test' } as const;
  return {
    application,
    environment,
    purpose,
    fingerprint,
    seq,
    at: new Date(),
    ...move,
    previous,
    hash,
    mac,
  };
}
