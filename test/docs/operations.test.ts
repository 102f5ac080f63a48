/** docs/operations.md: its tables against events and counters as they are. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../../src/errors.js';
import { openBench } from '../keys/seal-fixture.js';
import { readDocument, tableUnder } from './document.js';

const text = readDocument('operations.md');
const section = (heading: string): string => text.slice(text.indexOf(`\n${heading}\n`));

describe('docs/operations.md', () => {
  it('has every type of event once', () => {
    const source = readFileSync(new URL('../../src/keys/events.ts', import.meta.url), 'utf8');
    const types = [...source.matchAll(/readonly type: '([a-z-]+)'/gu)].map(([, type]) => type);
    expect(tableUnder(text, '## What to watch').map(([type]) => type)).toEqual(types);
  });

  it('has every counter', async () => {
    const { seal } = await openBench();
    const behind = section('## What to watch').slice(section('## What to watch').indexOf('| counter |'));
    const shown = tableUnder(`\n#\n${behind}`, '#').flatMap(([names]) => names!.split(', '));
    expect(shown.sort()).toEqual(Object.keys(seal.stats()).sort());
    const pool = tableUnder(`\n#\n${behind}`, '#').at(-1)![1]!;
    for (const name of Object.keys(Object.values(seal.stats().pools)[0]!)) expect(pool).toContain(name);
    await seal.close();
  });

  it('names codes that there are', () => {
    const named = [...text.matchAll(/`(ERR_[A-Z_]+)`/gu)].map(([, code]) => code!);
    expect(named.filter((code) => !(code in ERROR_CODES))).toEqual([]);
  });
});
