/** A web tier in a process of its own, and what whoever takes it over finds there. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleScript, startScript, type RunningScript } from '@fieldseal/test-support';
import { DataSource } from 'typeorm';
import { Client } from 'pg';
import { expect } from 'vitest';
import type { FieldSeal } from '../../src/index.js';
import { attachFieldSeal } from '../../src/typeorm/index.js';
import { Card, holderOf, panOf } from './card.js';
import type { Tiers } from './fixture.js';
import type { Opened } from './memory.js';
import type { StolenCell, WebSetup } from './web-process.js';

/** The program of the web tier, and a folder for what is stolen. */
export interface WebScript {
  readonly file: string;
  readonly folder: string;
  remove(): void;
}

export async function webScript(): Promise<WebScript> {
  const folder = mkdtempSync(join(tmpdir(), 'fieldseal-tiers-'));
  const script = await bundleScript(join(import.meta.dirname, 'web-process.ts'));
  return {
    file: script.file,
    folder,
    remove: () => {
      script.remove();
      rmSync(folder, { recursive: true });
    },
  };
}

/** The web tier, and what it says when it is told something. */
export class WebTier {
  readonly #process: RunningScript;
  readonly #script: WebScript;
  readonly #tiers: Tiers;
  #heard = 0;

  private constructor(process: RunningScript, script: WebScript, tiers: Tiers) {
    this.#process = process;
    this.#script = script;
    this.#tiers = tiers;
  }

  static async start(script: WebScript, tiers: Tiers, setup: Omit<WebSetup, 'url'>): Promise<WebTier> {
    const whole: WebSetup = { url: tiers.web.url, ...setup };
    const started = new WebTier(startScript(script.file, [JSON.stringify(whole)]), script, tiers);
    expect(await started.#said()).toEqual({ started: true });
    return started;
  }

  async write(rows: number): Promise<void> {
    expect(await this.tell(`write ${rows}`)).toMatchObject({ wrote: rows });
  }

  tell<T>(order: string): Promise<T> {
    this.#process.send(order);
    return this.#said() as Promise<T>;
  }

  /** Whoever is in the process has a copy of the table as well. */
  async openWithReachableKeys(): Promise<Opened> {
    const file = join(this.#script.folder, 'cells.json');
    writeFileSync(file, JSON.stringify(await cellsOf(this.#tiers)));
    return this.tell<Opened>(`open ${file}`);
  }

  async end(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#process.ended;
  }

  /** Nothing of the keys that the KMS handed out, and of the values, is in the process where anybody can reach it. */
  async expectNothingInMemory(rows: number): Promise<void> {
    const file = join(this.#script.folder, 'memory');
    expect(await this.tell(`dump ${file}`)).toEqual({ dumped: true });
    const memory = readFileSync(file);
    const { roots } = this.#tiers;
    const serials = Array.from({ length: rows }, (_, serial) => serial);
    const secrets: Readonly<Record<string, readonly Buffer[]>> = {
      'bytes of a key': roots,
      'a key in base64': roots.map((key) => Buffer.from(key.toString('base64'))),
      'a card number': serials.map((serial) => Buffer.from(panOf(serial))),
      'a name': serials.map((serial) => Buffer.from(`"${holderOf(serial)}"`)),
    };
    expect(isAnyIn(memory, [Buffer.from('insertOnly')])).toBe(true);
    expect(Object.keys(secrets).filter((name) => isAnyIn(memory, secrets[name]!))).toEqual([]);
  }

  async #said(): Promise<unknown> {
    const prefix = `${(this.#heard += 1)}: `;
    return JSON.parse((await this.#process.line(prefix)).slice(prefix.length));
  }
}

/** All cells of the table, with what opens them besides a key. */
export async function cellsOf(tiers: Tiers): Promise<readonly StolenCell[]> {
  const rows = await tiers.database.query('SELECT id, serial, pan, holder FROM cards ORDER BY serial');
  return rows.flatMap(({ id, serial, pan, holder }) => {
    const row = { id: id as string, serial: serial as number };
    return [
      { ...row, purpose: 'card-number', field: 'pan', cell: (pan as Buffer).toString('base64') },
      { ...row, purpose: 'personal-data', field: 'holder', cell: (holder as Buffer).toString('base64') },
    ];
  });
}

/** The payment tier reads all cards; closes the field seal. */
export async function readAll(tiers: Tiers, seal: FieldSeal): Promise<Card[]> {
  const dataSource = new DataSource({ type: 'postgres', url: tiers.payment.url, entities: [Card] });
  await attachFieldSeal(dataSource, seal).initialize();
  try {
    return await dataSource.manager.find(Card, { order: { serial: 'ASC' } });
  } finally {
    await dataSource.destroy();
    await seal.close();
  }
}

/** The role of the web tier reads no column that could be opened, and changes nothing. */
export async function expectReadsNothing(tiers: Tiers): Promise<void> {
  const denied = [
    ...['pan', 'holder', 'pan_bidx', 'pan_key', '*'].map((column) => `SELECT ${column} FROM cards`),
    'UPDATE cards SET serial = 1',
    'DELETE FROM cards',
  ];
  await expectDenied(tiers.web.url, denied);
}

export async function expectDenied(url: string, statements: readonly string[]): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    for (const sql of statements) await expect(client.query(sql)).rejects.toMatchObject({ code: '42501' });
  } finally {
    await client.end();
  }
}

/** One pass for all of them: by their first four bytes. */
function isAnyIn(memory: Buffer, needles: readonly Buffer[]): boolean {
  const byStart = new Map<number, Buffer[]>();
  for (const needle of needles) {
    const start = needle.readInt32BE();
    byStart.set(start, [...(byStart.get(start) ?? []), needle]);
  }
  let last4 = 0;
  for (let at = 0; at < memory.length; at++) {
    last4 = (last4 << 8) | memory[at]!;
    const from = at - 3;
    if (byStart.get(last4)?.some((one) => one.equals(memory.subarray(from, from + one.length)))) return true;
  }
  return false;
}
