/**
 * Cells that carry their key against pool cells: a batch under one key, and one key for each record. A record is one
 * cell of 16 bytes here; a row with several pays for its key once.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { CellGroups } from '../../src/cell/cell-groups.js';
import { type CellColumn, cellColumn } from '../../src/cell/column.js';
import { DataKey } from '../../src/cell/data-key.js';
import { kekRefOf } from '../../src/cell/delivery-header.js';
import { byteOneOf } from '../../src/cell/format.js';
import { PrivateKey, PublicKey } from '../../src/cell/key-pair.js';
import { beginOpening, openCells, type Opening } from '../../src/cell/open.js';
import { sealCells } from '../../src/cell/seal.js';
import { openSession, sealSession } from '../../src/cell/session-key.js';
import { measureAll, median, ratio, round, type Rounds, type Times, type Way } from './ways.js';

const SUITE = 'aes-256-siv';
const ACCEPT = { suites: [SUITE], deliveries: ['pool', 'envelope', 'sealed'] } as const;
const OWNER = { application: 'bench', environment: 'production', purpose: 'card-number' };
const BATCH = 1000;
const VALUE = '4111111111111111';
const PAGE = 10_000;
/** What AWS KMS returns for a data key of 32 bytes. */
const WRAP = { kekRef: kekRefOf('bench'), wrapped: randomBytes(184) };

const column: CellColumn = cellColumn({
  ...OWNER,
  entity: 'cards',
  field: 'pan',
  codec: 'string',
  pad: 0,
  bound: false,
});
const pair = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const publicKey = PublicKey.parse(pair.publicKey.export({ format: 'der', type: 'spki' }), OWNER);
const privateKey = PrivateKey.parse(pair.privateKey.export({ format: 'der', type: 'pkcs8' }), OWNER);

export interface DeliveryFigures {
  readonly sealedBatch1000VsPool: number;
  readonly envelopeReuseBatch1000VsPool: number;
  readonly openSealedBatch1000VsPool: number;
  readonly openEnvelopeReuseBatch1000VsPool: number;
  /** Microseconds; what the KMS takes comes on top of envelope records. */
  readonly usPerRecord: Readonly<Record<string, number>>;
  /** Sorting 10,000 cells by their keys; without a key's own costs. */
  readonly group10000Ms: Readonly<Record<string, number>>;
}

export function measureDeliveries(rounds: Rounds): DeliveryFigures {
  const batches = measureAll(batchWays(), rounds);
  const records = measureAll(recordWays(), rounds);
  return {
    sealedBatch1000VsPool: ratio(batches, 'sealSealed', 'sealPool'),
    envelopeReuseBatch1000VsPool: ratio(batches, 'sealEnvelope', 'sealPool'),
    openSealedBatch1000VsPool: ratio(batches, 'openSealed', 'openPool'),
    openEnvelopeReuseBatch1000VsPool: ratio(batches, 'openEnvelope', 'openPool'),
    usPerRecord: medians(records, 1000, 1),
    group10000Ms: medians(measureAll(groupWays(), rounds), 1e6, 2),
  };
}

function medians(times: Times, divisor: number, digits: number): Record<string, number> {
  const entries = [...times].map(([name, ns]) => [name, round(median(ns) / divisor, digits)] as const);
  return Object.fromEntries(entries);
}

function batchWays(): Way[] {
  const keys = {
    Pool: DataKey.derive(randomBytes(32), OWNER),
    Envelope: DataKey.deriveEnvelope(randomBytes(32), OWNER, WRAP),
    Sealed: sealSession(publicKey, OWNER),
  };
  const ways = Object.entries(keys).map(([name, key]) => {
    const values = Array.from({ length: BATCH }, (_, i) => String(i).padStart(16, VALUE));
    const keyOf = values.map(() => key);
    const { cells } = sealCells(SUITE, column, values, keyOf);
    if (open(key, cells).some((value, i) => value !== values[i]))
      throw new Error('The bench does not open what it sealed.');
    return [
      way(`seal${name}`, BATCH, () => sealCells(SUITE, column, values, keyOf)),
      way(`open${name}`, BATCH, () => open(key, cells)),
    ] as const;
  });
  return [...ways.map(([seal]) => seal), ...ways.map(([, opened]) => opened)];
}

/** Roots are drawn here in the place of the KMS, and wiped by what is measured. */
function recordWays(): Way[] {
  const message = publicKey.seal(randomBytes(32));
  const session = { encapsulated: message.encapsulated, sessionKey: message.ciphertext };
  const sealedCell = sealOne(sealSession(publicKey, OWNER));
  const root = randomBytes(32);
  const unwrapped = (): DataKey => DataKey.deriveEnvelope(Buffer.from(root), OWNER, WRAP);
  const envelopeCell = sealOne(unwrapped());
  return [
    way('hpkeSeal', 1, () => publicKey.seal(root)),
    way('hpkeOpen', 1, () => privateKey.open(message)),
    way('sealSession', 1, () => sealSession(publicKey, OWNER)),
    way('openSession', 1, () => openSession(privateKey, OWNER, session)),
    way('sealedSeal', 1, () => sealOne(sealSession(publicKey, OWNER))),
    way('sealedOpen', 1, () => {
      const { header } = groupsOf([sealedCell]).all[0]!;
      const parts = byteOneOf(sealedCell)!.layout.parse(header);
      if (parts.delivery === 'sealed') open(openSession(privateKey, OWNER, parts)!, [sealedCell]);
    }),
    way('derivePool', 1, () => DataKey.derive(Buffer.from(root), OWNER)),
    way('deriveEnvelope', 1, unwrapped),
    way('envelopeSeal', 1, () => sealOne(unwrapped())),
    way('envelopeOpen', 1, () => open(unwrapped(), [envelopeCell])),
  ];
}

/** Cells of one key whose headers all differ: in their last bytes, as wraps do, or before those, as forged ones may. */
function groupWays(): Way[] {
  const pool = sealOne(DataKey.derive(randomBytes(32), OWNER));
  const envelope = sealOne(DataKey.deriveEnvelope(randomBytes(32), OWNER, WRAP));
  const sealed = sealOne(sealSession(publicKey, OWNER));
  const differing = (cell: Buffer, at: number): Buffer[] =>
    Array.from({ length: PAGE }, (_, i) => {
      const other = Buffer.from(cell);
      other.writeUInt32BE(i, at);
      return other;
    });
  const pages = {
    poolKeys: differing(pool, 2),
    envelopes: differing(envelope, 18 + 10 + 180),
    sealed: differing(sealed, 18 + 65 + 44),
    forgedEnvelopes: differing(envelope, 18 + 10),
  };
  return Object.entries(pages).map(([name, cells]) => way(name, 1, () => groupsOf(cells)));
}

function groupsOf(cells: readonly Buffer[]): CellGroups<Opening> {
  const groups = new CellGroups<Opening>();
  beginOpening(groups, column, cells, { accept: ACCEPT });
  return groups;
}

function sealOne(key: DataKey): Buffer {
  return sealCells(SUITE, column, [VALUE], [key]).cells[0]!;
}

function open(key: DataKey, cells: readonly (Buffer | null)[]): unknown[] {
  const groups = new CellGroups<Opening>();
  const { values } = beginOpening(groups, column, cells, { accept: ACCEPT });
  for (const group of groups.all) openCells(key, group);
  return values;
}

function way(name: string, values: number, run: () => unknown): Way {
  return { name, valueBytes: 16, values, run: () => void run() };
}
