import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type BoundKind, encodeBinding } from '../../src/cell/binding.js';
import type { CodecName } from '../../src/cell/codecs.js';
import { cellColumn } from '../../src/cell/column.js';
import { DataKey } from '../../src/cell/data-key.js';
import { fingerprintOf } from '../../src/cell/format.js';
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

const vectors = new URL('../vectors/', import.meta.url);
const { cells } = JSON.parse(readFileSync(new URL('cells-v1.json', vectors), 'utf8')) as {
  readonly cells: readonly KnownCell[];
};

function toJson(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  return value instanceof Date ? value.toISOString() : value;
}

describe('cells of version 1', () => {
  test.each(cells)('open for ever: $name', (known) => {
    const column = cellColumn({ ...known, bound: known.bound.length > 0 });
    const key = DataKey.derive(hex(known.root), known);
    const cell = hex(known.cell);
    const binding = known.bound.length > 0 ? encodeBinding(known.bound) : undefined;
    expect(key.fingerprint).toBe(known.fingerprint);
    expect(fingerprintOf(cell)).toBe(known.fingerprint);
    expect(toJson(openOne(cell, { key, column, suite: known.suite, ...(binding && { binding }) }))).toEqual(
      known.value,
    );
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
    const siv = cells.filter(({ suite }) => suite === 'aes-256-siv').map(({ name }) => name);
    expect(stdout.trim().split('\n')).toEqual(siv);
  });
});
