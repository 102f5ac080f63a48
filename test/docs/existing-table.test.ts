/** docs/existing-table.md: its programs take 5,000 rows along while a release without encryption writes to them. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { blocks, readDocument } from './document.js';
import { apply, startReleases, type Releases } from './releases.js';

const ROWS = 5_000;
const page = readDocument('existing-table.md');

/** What the program of each release can do. */
const RELEASES = {
  before: {
    work: `
    old: async () => {
      let writes = 0;
      for (let i = 1; !isStopped(); i++) {
        await rows.update({ id: i }, { email: \`changed-\${i}@example.com\` });
        await rows.save(rows.create({ email: \`old-\${i}@example.com\` }));
        await rows.softDelete({ id: 5_000 - i });
        writes += 3;
      }
      return writes;
    },`,
  },
  both: {
    both: "'email', 'emailCell'",
    work: `
    copy: () => copy('email', 'emailCell', 'write'),
    compare: () => copy('email', 'emailCell', 'compare'),
    write: async () => {
      const saved = await rows.save(rows.create({ email: 'saved@example.com' }));
      saved.email = 'saved-again@example.com';
      await rows.save(saved);
      await rows.insert({ email: 'inserted@example.com' });
      await rows.update({ email: 'inserted@example.com' }, { email: 'updated@example.com' });
      await rows.createQueryBuilder().update().set({ email: 'built@example.com' }).where({ email: 'updated@example.com' }).execute();
      const upserted = { email: 'upserted@example.com', emailCell: 'upserted@example.com' };
      await rows.upsert(upserted, ['email']);
      await rows.upsert(upserted, ['email']);
      const written = await rows.find({ where: { id: MoreThan(saved.id - 1) } });
      return written.map(({ email, emailCell }) => [email, emailCell]).filter(([email]) => !email!.startsWith('old-'));
    },
    find: () => rows.findOneBy({ email: 'sealed@example.com' }),`,
  },
  sealed: {
    both: "'email', 'plainEmail'",
    work: `
    write: async () => {
      await rows.save(rows.create({ email: 'sealed@example.com' }));
      const twice = await rows.insert({ email: 'sealed@example.com', plainEmail: 'x' }).catch((error: Error) => error.message);
      return [await rows.findOneBy({ email: 'sealed@example.com' }), twice];
    },
    compare: () => copy('email', 'plainEmail', 'compare'),
    back: () => copy('email', 'plainEmail', 'write'),`,
  },
  alone: { work: "write: () => rows.save(rows.create({ email: 'alone@example.com' }))," },
  renamed: {
    work: `
    read: async () => ({
      rows: (await rows.find({ withDeleted: true })).length,
      found: (await rows.findOneByOrFail({ email: 'alone@example.com' })).email,
    }),`,
  },
};

let releases: Releases;
beforeAll(async () => {
  releases = await startReleases({
    pages: ['existing-table.md'],
    entity: 'Customer',
    purpose: 'personal-data',
    migration: ['RenameEmail1800000000000', 'rename-email'],
    releases: RELEASES,
  });
}, 180_000);
afterAll(() => releases.close());

const run = (release: keyof typeof RELEASES, ...works: string[]): Promise<unknown[]> =>
  releases.run(release, ...works);
const query: Releases['shop']['query'] = (sql, values) => releases.shop.query(sql, values);

const count = async (where = 'true'): Promise<number> =>
  Number((await query(`SELECT count(*) FROM customers WHERE ${where}`))[0]!['count']);

it('fills a table that a release before has made', async () => {
  const [statements] = await run('before', 'changes');
  await apply(releases.shop, statements as string[]);
  await query(
    `INSERT INTO customers (email, "updatedAt", "deletedAt")
     SELECT 'customer-' || n || '@example.com', '2020-01-01', CASE WHEN n % 10 = 0 THEN now() END
     FROM generate_series(1, ${ROWS}) n`,
  );
}, 120_000);

it('takes every row along while the release before writes, and leaves their times of change', async () => {
  const writing = run('before', 'old');
  try {
    const added = (await run('both', 'changes'))[0] as string[];
    expect(
      added.filter((statement) => !/^(ALTER TABLE "customers" ADD|CREATE INDEX) /u.test(statement)),
    ).toEqual([]);
    await apply(
      releases.shop,
      added.map((statement) => statement.replace('CREATE INDEX', 'CREATE INDEX CONCURRENTLY')),
    );
    const [changes, copied, written] = await run('both', 'changes', 'copy', 'write');
    expect(changes).toEqual([]);
    expect((copied as { different: number[] }).different.length).toBeGreaterThan(ROWS / 2);
    expect(written).toEqual(
      ['saved-again', 'built', 'upserted'].map((name) => [`${name}@example.com`, `${name}@example.com`]),
    );
  } finally {
    await releases.project.write('stop', '');
  }
  expect((await writing)[0]).toBeGreaterThan(10);
  const [, compared] = await run('both', 'copy', 'compare');
  expect(compared).toEqual({ same: await count(), different: [] });
  expect(await count('email_cell IS NULL OR email_cell_bidx IS NULL')).toBe(0);
  expect(await count(`"updatedAt" <> '2020-01-01' AND email LIKE 'customer-%' AND "deletedAt" IS NULL`)).toBe(
    0,
  );
}, 240_000);

it('finds a row that was written by something that does not write both', async () => {
  await query(`UPDATE customers SET email = 'by-hand@example.com' WHERE id = 1234`);
  const compared = await run('both', 'compare', 'copy', 'compare');
  expect(compared).toMatchObject([{ different: [1234] }, { different: [1234] }, { different: [] }]);
}, 120_000);

it('keeps values unique by the index, made beside the application; reads cells, writes both, goes back', async () => {
  const [duplicates] = blocks(page, 'sql');
  expect(await query(duplicates!)).toEqual([]);
  const generated = ((await run('sealed', 'changes'))[0] as string[]).join('\n');
  const [, name] = /^DROP INDEX .*"(IDX_\w+)"\nCREATE UNIQUE INDEX "\1"/u.exec(generated)!;
  const [statements] = blocks(page, 'txt');
  await apply(releases.shop, statements!.trim().replaceAll('IDX_…', name!).split('\n'));
  const [changes, written, compared] = await run('sealed', 'changes', 'write', 'compare');
  expect(changes).toEqual([]);
  expect(written).toEqual([
    expect.objectContaining({ email: 'sealed@example.com', plainEmail: 'sealed@example.com' }),
    expect.stringMatching(/duplicate key/u),
  ]);
  expect(compared).toMatchObject({ different: [] });
  expect(await run('both', 'find')).toMatchObject([{ email: 'sealed@example.com' }]);
}, 180_000);

it('writes cells alone, and copies them back for the release before', async () => {
  await query('ALTER TABLE customers ALTER COLUMN email DROP NOT NULL');
  const [{ id }] = (await run('alone', 'write')) as [{ id: number }];
  expect(await run('sealed', 'back', 'compare')).toMatchObject([{ different: [id] }, { different: [] }]);
  const plain = await query('SELECT email FROM customers WHERE id = $1', [id]);
  expect(plain).toEqual([{ email: 'alone@example.com' }]);
}, 120_000);

it('renames columns and indexes, and finds no difference', async () => {
  const rows = await count();
  await run('alone', 'migrate');
  const required = (await run('renamed', 'changes'))[0] as string[];
  expect(required.filter((statement) => !statement.endsWith('SET NOT NULL'))).toEqual([]);
  await apply(releases.shop, required);
  expect(await run('renamed', 'changes', 'read')).toEqual([[], { rows, found: 'alone@example.com' }]);
}, 120_000);

it('leaves no plaintext in the table after it was rewritten', async () => {
  const isInFile = async (): Promise<unknown> => {
    await query('CHECKPOINT');
    const [row] = await query(
      `SELECT position('customer-4321@example.com'::bytea IN pg_read_binary_file(pg_relation_filepath('customers'))) > 0 AS found`,
    );
    return row!['found'];
  };
  expect(await isInFile()).toBe(true);
  await query('VACUUM FULL customers');
  expect(await isInFile()).toBe(false);
}, 60_000);
