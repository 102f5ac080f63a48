/** docs/typeorm.md beside the code: options, columns, behaviours and limits are those that there are. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ormConformance } from '../../src/testing/orm-conformance.js';
import { LIMITS } from '../typeorm/limits.js';
import { readDocument, tableUnder } from './document.js';

const text = readDocument('typeorm.md');
const source = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

/** The members of an interface, in order. */
function membersOf(path: string, name: string): string[] {
  const [, body] = new RegExp(`export interface ${name} \\{([\\s\\S]*?)\\n\\}`, 'u').exec(source(path))!;
  return [...body!.matchAll(/^ {2}readonly (\w+)/gmu)].map(([, member]) => member!);
}

it.each([
  ['## Declare', 'src/typeorm/declaration.ts', 'EncryptedOptions'],
  ['## Attach', 'src/typeorm/attach.ts', 'AttachOptions'],
])('%s lists every option', (heading, path, name) => {
  const listed = tableUnder(text, heading).map(([option]) => option);
  expect(listed.sort()).toEqual(membersOf(path, name).sort());
});

it('lists the behaviours 1 to 22, each of which has a test with its number', () => {
  const rows = tableUnder(text, '## What works, and what is refused').map(([row]) => Number(row));
  expect(rows).toEqual(Array.from({ length: 22 }, (_, i) => i + 1));
  const folder = new URL('../typeorm/', import.meta.url);
  const tests = readdirSync(folder).filter((file) => file.endsWith('.test.ts'));
  const numbered = tests.flatMap((file) =>
    [
      ...source(`test/typeorm/${file}`).matchAll(
        /(?:describe|it|test)(?:\.each[\s\S]*?\])?\)?\(\s*['`"](\d+) /gu,
      ),
    ].map(([, row]) => Number(row)),
  );
  const tested = new Set([...numbered, ...ormConformance.map(({ row }) => row)]);
  expect(rows.filter((row) => !tested.has(row))).toEqual([]);
});

it('lists what a database or a version cannot do, as the tests have it', () => {
  const names: Readonly<Record<string, string>> = { mariadb: 'MariaDB', sqljs: 'sql.js' };
  const limits = Object.entries(LIMITS).map(([what, { without, reason }]) => [
    what,
    without.map((name) => names[name] ?? `TypeORM ${name}`).join(', '),
    reason,
  ]);
  expect(tableUnder(text, '## Databases and versions')).toEqual(limits);
});
