/** docs/from-typeorm-encrypted.md: its programs move a table and rows of the real typeorm-encrypted, which goes on writing. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { apply, startReleases, type Releases } from './releases.js';

const LEGACY_KEY = 'e41c966f21f9e1577802463f8924e6a3fe3e9751f201304213b2f845d8841d61';
const OLD_RELEASE = fileURLToPath(new URL('../typeorm-encrypted/old-release.mjs', import.meta.url));

/** What the program of each release can do. */
const RELEASES = {
  both: {
    both: "'pan', 'panCell'",
    work: `
    gcm: async (made) => {
      const { legacyValue } = await import('./legacy-value.js');
      const value = legacyValue({ key: process.env.LEGACY_KEY!, algorithm: 'aes-256-gcm', ivLength: 12 });
      return [value.from(made!), value.from(value.to('4222222222222222') as string)];
    },
    copy: () => copy('pan', 'panCell', 'write'),
    compare: () => copy('pan', 'panCell', 'compare'),
    write: async () => {
      const card = await rows.save(rows.create({ pan: '4111111111111111' }));
      const other = await rows.save(rows.create({ pan: '4111111111111111' }));
      await rows.update({ id: other.id }, { pan: '4333333333333333' });
      return [card.id, other.id];
    },`,
  },
  sealed: {
    both: "'pan', 'oldPan'",
    work: `
    compare: () => copy('pan', 'oldPan', 'compare'),
    write: async () => {
      const card = await rows.findOneByOrFail({ pan: '4111111111111111' });
      await rows.update({ id: card.id }, { pan: '4444444444444444' });
      return (await rows.findOneByOrFail({ id: card.id })).oldPan;
    },`,
  },
  renamed: {
    work: `
    read: async () => (await rows.find({ withDeleted: true })).map(({ id, pan }) => [id, pan]),
    find: () => rows.countBy({ pan: '4444444444444444' }),`,
  },
};

let releases: Releases;
beforeAll(async () => {
  releases = await startReleases({
    pages: ['existing-table.md', 'from-typeorm-encrypted.md'],
    entity: 'Card',
    purpose: 'card-number',
    migration: ['RenamePan1800000000000', 'rename-pan'],
    releases: RELEASES,
    // Whoever has typeorm-encrypted has TypeORM 0.3.
    typeorm: 'typeorm-0.3.31',
    env: { LEGACY_KEY },
  });
}, 180_000);
afterAll(() => releases.close());

const run = (release: keyof typeof RELEASES, ...works: string[]): Promise<unknown[]> =>
  releases.run(release, ...works);
const query: Releases['shop']['query'] = (sql, values) => releases.shop.query(sql, values);
const count = async (where = 'true'): Promise<number> =>
  Number((await query(`SELECT count(*) FROM cards WHERE ${where}`))[0]!['count']);

async function runOld(work: string): Promise<unknown> {
  const { stdout } = await promisify(execFile)(process.execPath, [OLD_RELEASE, work], {
    env: {
      ...process.env,
      DATABASE_URL: releases.shop.url,
      LEGACY_KEY,
      STOP_FILE: `${releases.project.folder}/stop`,
    },
    maxBuffer: 16 << 20,
  });
  return JSON.parse(stdout) as unknown;
}

/** Ids and values in one order. */
const sorted = (rows: unknown): [string, string | null][] =>
  (rows as [string, string | null][]).toSorted(([a], [b]) => (a < b ? -1 : 1));

let deleted: string;

it('reads and writes what typeorm-encrypted writes', async () => {
  const filled = (await runOld('fill')) as { gcm: string; deleted: string };
  deleted = filled.deleted;
  await query(`UPDATE cards SET "updatedAt" = '2020-01-01'`);
  expect(await run('both', `gcm=${filled.gcm}`)).toEqual([['4000000000000000', '4222222222222222']]);
}, 120_000);

it('takes every row along while the release before writes, and leaves their times of change', async () => {
  const writing = runOld('write');
  try {
    const generated = (await run('both', 'changes'))[0] as string[];
    const dropsDefault = 'ALTER TABLE "cards" ALTER COLUMN "id" DROP DEFAULT';
    expect(generated).toContain(dropsDefault);
    const kept = generated.filter((statement) => statement !== dropsDefault);
    expect(kept.filter((statement) => !/^(ALTER TABLE "cards" ADD|CREATE INDEX) /u.test(statement))).toEqual(
      [],
    );
    await apply(
      releases.shop,
      kept.map((statement) => statement.replace('CREATE INDEX', 'CREATE INDEX CONCURRENTLY')),
    );
    await run('both', 'copy', 'write');
  } finally {
    await releases.project.write('stop', '');
  }
  expect(await writing).toBeGreaterThan(10);
  const [, compared] = await run('both', 'copy', 'compare');
  expect(compared).toEqual({ same: await count(), different: [] });
  expect(await count('(pan IS NULL) <> (pan_cell IS NULL)')).toBe(0);
  expect(await count(`id = '${deleted}' AND pan_cell IS NOT NULL AND "updatedAt" = '2020-01-01'`)).toBe(1);
}, 240_000);

it('reads the cells, and goes back to the release before', async () => {
  expect(await run('sealed', 'write', 'compare')).toEqual([
    '4444444444444444',
    { same: await count(), different: [] },
  ]);
  const old = sorted(await runOld('read'));
  expect(old.filter(([, pan]) => pan === '4444444444444444')).toHaveLength(1);
}, 120_000);

it('drops and renames, opens every cell, and finds no difference', async () => {
  const old = sorted(await runOld('read'));
  const [, opened, found, changes] = await run('renamed', 'migrate', 'read', 'find', 'changes');
  expect(sorted(opened)).toEqual(old);
  expect(found).toBe(1);
  expect(changes).toEqual([]);
}, 120_000);
