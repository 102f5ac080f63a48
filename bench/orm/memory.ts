/**
 * Peak memory of a find of many rows: each way in a process of its own that does nothing else, since a peak does not go
 * down again. The process is the same program, started with the way in its environment.
 */
import { execFile } from 'node:child_process';
import process from 'node:process';
import { promisify } from 'node:util';
import { findAll, type Access, type Table, type Way } from './tables.js';

const CHILD = 'FIELDSEAL_BENCH_CHILD';
/** Copies of every row of `pages`, so that few rows have to be sealed for many to be found. */
const COPIES = 10;

interface Task {
  readonly access: Access;
  readonly way: Way;
}

/** Does the work of a child and ends the process; nothing in every other process. */
export async function runAsChild(): Promise<void> {
  const task = process.env[CHILD];
  if (task === undefined) return;
  const { access, way } = JSON.parse(task) as Task;
  const rows = await findAll(access, way);
  console.log(JSON.stringify({ rows, rssKb: process.resourceUsage().maxRSS }));
  process.exit();
}

/** Ten times the rows of `pages`: cells that are bound to no row open in any. Nothing is measured in `pages` after it. */
export async function multiplyRows(tables: readonly Table[]): Promise<void> {
  for (const { entity, pages } of tables) {
    const { tableName, columns } = pages.getMetadata(entity);
    const others = columns.filter(({ isPrimary }) => !isPrimary).map(({ databaseName }) => databaseName);
    await pages.query(
      `INSERT INTO ${tableName} (id, ${others.join(', ')}) ` +
        `SELECT gen_random_uuid(), ${others.join(', ')} FROM ${tableName}, generate_series(2, ${COPIES})`,
    );
  }
}

/** Peak resident memory of a process that finds every row, in MB. */
export async function peakRssMb(access: Access, way: Way, rows: number): Promise<number> {
  const env = { ...process.env, [CHILD]: JSON.stringify({ access, way } satisfies Task) };
  const { stdout } = await promisify(execFile)(process.execPath, [process.argv[1]!], { env });
  const found = JSON.parse(stdout) as { readonly rows: number; readonly rssKb: number };
  if (found.rows !== rows * COPIES)
    throw new Error(`Expected ${rows * COPIES} rows in ${way}, got ${found.rows}.`);
  return found.rssKb / 1024;
}
