import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { encodeBinding } from '../../src/cell/binding.js';
import { codecOf } from '../../src/cell/codecs.js';
import { contextOf } from '../../src/cell/column.js';
import { DELIVERIES } from '../../src/cell/delivery-header.js';
import { parseCell } from '../../src/cell/format.js';
import { withRoot } from '../../src/cell/key-schedule.js';
import { SUITES } from '../../src/cell/suites.js';
import { hex, openOne, OWNER, someColumn, someKey } from './fixtures.js';

const doc = readFileSync(new URL('../../docs/cell-format.md', import.meta.url), 'utf8');

/** Rows of the table whose first heading is this. */
function table(heading: string): string[][] {
  const [, body] = doc.split(new RegExp(`\\| ${heading} \\|.*\\n\\|[-|]+\\n`));
  const rows = (body ?? '').split('\n\n')[0]!.split('\n');
  return rows.map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('`', '')),
  );
}

/** The values of the last code block, by name; a value may run over several lines. */
function workedExample(): Record<string, string> {
  const block = doc.split('```').at(-2)!;
  const entries = [...block.matchAll(/^([a-z][a-z ]*?) {2,}((?:\S+\n *)+)/gm)];
  return Object.fromEntries(entries.map(([, name, value]) => [name!, value!.replaceAll(/\s/g, '')]));
}

describe('docs/cell-format.md', () => {
  test('lists the suites of the code', () => {
    const expected = SUITES.map(({ id, suite, nonceBytes }) => [String(id), suite, String(nonceBytes)]);
    expect(table('suite').map((row) => row.slice(0, 3))).toEqual(expected);
  });

  test('lists the deliveries of the code', () => {
    const expected = DELIVERIES.map(({ nibble, delivery }) => [String(nibble), delivery]);
    expect(table('delivery').map((row) => row.slice(0, 2))).toEqual(expected);
  });

  test('lists the labels of the key schedule with their sizes', () => {
    const data = table('kind \\| label').filter(([kind]) => kind === 'data');
    const expected = SUITES.map(({ label, keyBytes }) => ['data', label, String(keyBytes)]);
    expect(data.map((row) => row.slice(0, 3))).toEqual([...expected, ['data', 'commit', '32']]);
    const session = table('kind \\| label').filter(([kind]) => kind === 'session');
    expect(session.map((row) => row.slice(1, 3))).toEqual(expected.map((row) => row.slice(1)));
  });

  test('lists types that the code has', () => {
    const types = table('type').map(([name]) => name!);
    expect(types).toHaveLength(7);
    for (const name of types) expect(codecOf(name, 'docs')).toBeDefined();
  });

  test('has a worked example that is true', () => {
    const example = workedExample();
    const root = hex(example['root']!);
    const column = someColumn({ bound: true });
    const key = someKey(root);
    const binding = encodeBinding([
      { name: 'id', kind: 'uuid', value: '0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b' },
    ]);
    const cell = hex(example['cell']!);
    const { nonce, body } = parseCell(cell);
    const sivKey = withRoot(Buffer.from(root), 'data', OWNER, (derive) => derive('siv', 64).toString('hex'));
    expect({
      root: root.toString('hex'),
      commitment: key.commitment.toString('hex'),
      fingerprint: key.fingerprint,
      'siv key': sivKey,
      context: contextOf(column, 1, key.fingerprint).toString('hex'),
      binding: binding.toString('hex'),
      nonce: Buffer.from(nonce).toString('hex'),
      tag: Buffer.from(body.subarray(0, 16)).toString('hex'),
      ciphertext: Buffer.from(body.subarray(16)).toString('hex'),
      cell: cell.toString('hex'),
    }).toEqual(example);
    expect(openOne(cell, { key, column, binding })).toBe('4111111111111111');
  });
});
