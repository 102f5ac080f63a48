import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type BoundKind, encodeBinding } from '../../src/cell/binding.js';
import type { CodecName } from '../../src/cell/codecs.js';
import { cellColumn } from '../../src/cell/column.js';
import { DataKey } from '../../src/cell/data-key.js';
import { type DeliveryHeader, kekRefOf } from '../../src/cell/delivery-header.js';
import { fingerprintOf, parseCell } from '../../src/cell/format.js';
import { PrivateKey } from '../../src/cell/key-pair.js';
import { openSession } from '../../src/cell/session-key.js';
import type { Suite } from '../../src/cell/suites.js';
import { hex, openOne } from './fixtures.js';

interface KnownCell {
  readonly name: string;
  readonly suite: Suite;
  readonly root: string;
  readonly application: string;
  readonly environment: string;
  readonly purpose: string;
  readonly entity: string;
  readonly field: string;
  readonly codec: CodecName;
  readonly pad: number;
  readonly bound: readonly { readonly name: string; readonly kind: BoundKind; readonly value: unknown }[];
  /** As JSON can hold it. */
  readonly value: unknown;
  readonly fingerprint: string;
  readonly cell: string;
}

type CarryingCell = KnownCell &
  (
    | { readonly delivery: 'envelope'; readonly kek: string; readonly wrapped: string }
    | { readonly delivery: 'sealed'; readonly privateKey: string }
  );

const vectors = new URL('../vectors/', import.meta.url);
const cellsOf = (file: string): unknown =>
  (JSON.parse(readFileSync(new URL(file, vectors), 'utf8')) as { readonly cells: unknown }).cells;
const cells = cellsOf('cells-v1.json') as readonly KnownCell[];
const carrying = cellsOf('cells-v1-deliveries.json') as readonly CarryingCell[];

function toJson(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  return value instanceof Date ? value.toISOString() : value;
}

function openKnown(known: KnownCell, key: DataKey): unknown {
  const column = cellColumn({ ...known, bound: known.bound.length > 0 });
  const binding = known.bound.length > 0 ? encodeBinding(known.bound) : undefined;
  return toJson(openOne(hex(known.cell), { key, column, suite: known.suite, ...(binding && { binding }) }));
}

/** The key of a cell from what the cell carries. */
function keyOf(known: CarryingCell, header: DeliveryHeader): DataKey | undefined {
  if (known.delivery === 'sealed' && header.delivery === 'sealed')
    return openSession(PrivateKey.parse(hex(known.privateKey), known), known, header);
  if (known.delivery !== 'envelope' || header.delivery !== 'envelope') return undefined;
  expect(Buffer.from(header.kekRef)).toEqual(kekRefOf(known.kek));
  expect(Buffer.from(header.wrapped).toString('hex')).toBe(known.wrapped);
  return DataKey.deriveEnvelope(hex(known.root), known, header);
}

describe('cells of version 1', () => {
  test.each(cells)('open for ever: $name', (known) => {
    const key = DataKey.derive(hex(known.root), known);
    expect(key.fingerprint).toBe(known.fingerprint);
    expect(fingerprintOf(hex(known.cell))).toBe(known.fingerprint);
    expect(openKnown(known, key)).toEqual(known.value);
  });

  test.each(carrying)('that carry their key open for ever: $name', (known) => {
    const { fingerprint, header } = parseCell(hex(known.cell));
    expect(header.delivery).toBe(known.delivery);
    const key = keyOf(known, header)!;
    expect(key.fingerprint).toBe(known.fingerprint);
    expect(Buffer.from(fingerprint).toString('hex')).toBe(known.fingerprint.replaceAll('-', ''));
    expect(openKnown(known, key)).toEqual(known.value);
  });

  const python = spawnSync('python3', ['--version']);
  if (python.error) console.log('Not run: the independent reader in Python, because there is no python3.');

  test.skipIf(python.error)('of suite 1 open with a reader that shares no code with this package', () => {
    const { status, stdout, stderr } = spawnSync(
      'python3',
      [fileURLToPath(new URL('open_cells.py', vectors))],
      {
        encoding: 'utf8',
      },
    );
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const siv = [...cells, ...carrying]
      .filter(({ suite }) => suite === 'aes-256-siv')
      .map(({ name }) => name);
    expect(stdout.trim().split('\n')).toEqual(siv);
  });
});
