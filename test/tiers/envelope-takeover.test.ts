/**
 * A web process under the policies and grants of its tier writes 1,000 rows and is then taken over: with its credentials,
 * its configuration, its database role and every object that is reachable in it, nothing is opened.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DecryptCommand, KMSClient, ReEncryptCommand } from '@aws-sdk/client-kms';
import { bundleScript, startScript, type RunningScript } from '@fieldseal/test-support';
import { Client } from 'pg';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parseCell } from '../../src/cell/format.js';
import { createFieldSeal, kmsSource, type FieldSealOptions, type PurposeOptions } from '../../src/index.js';
import { awsKms } from '../../src/kms/aws.js';
import { attachFieldSeal } from '../../src/typeorm/index.js';
import { Card, holderOf, panOf } from './card.js';
import { openTiers, PURPOSES, type Principal, type Tiers } from './fixture.js';
import type { StolenCell, WebSetup } from './web-process.js';

const ROWS = 1_000;

let script: Awaited<ReturnType<typeof bundleScript>>;
let tiers: Tiers;
let web: WebProcess | undefined;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fieldseal-tiers-'));
  script = await bundleScript(join(import.meta.dirname, 'web-process.ts'));
});
afterAll(() => {
  script.remove();
  rmSync(folder, { recursive: true });
});

/** Before and after all tests of a description: they only look at what was written. */
function writesRows(purposes = PURPOSES): void {
  beforeAll(async () => {
    tiers = await openTiers();
    web = await WebProcess.start(purposes);
    expect(await web.tell(`write ${ROWS}`)).toMatchObject({ wrote: ROWS });
  });
  afterAll(async () => {
    await web?.end();
    web = undefined;
    await tiers.close();
  });
}

/** The web tier, and what it says when it is told something. */
class WebProcess {
  readonly #process: RunningScript;
  #heard = 0;

  constructor(process: RunningScript) {
    this.#process = process;
  }

  static async start(purposes = PURPOSES): Promise<WebProcess> {
    const setup: WebSetup = { url: tiers.web.url, kms: tiers.kmsOptions('web'), purposes };
    const started = new WebProcess(startScript(script.file, [JSON.stringify(setup)]));
    expect(await started.#said()).toEqual({ started: true });
    return started;
  }

  tell<T>(order: string): Promise<T> {
    this.#process.send(order);
    return this.#said() as Promise<T>;
  }

  async end(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#process.ended;
  }

  async #said(): Promise<unknown> {
    const prefix = `${(this.#heard += 1)}: `;
    return JSON.parse((await this.#process.line(prefix)).slice(prefix.length));
  }
}

const cellsOf = async (): Promise<readonly StolenCell[]> => {
  const rows = await tiers.database.query('SELECT id, serial, pan, holder FROM cards ORDER BY serial');
  return rows.flatMap(({ id, serial, pan, holder }) => [
    { id: id as string, serial: serial as number, purpose: 'card-number', field: 'pan', cell: base64(pan) },
    {
      id: id as string,
      serial: serial as number,
      purpose: 'personal-data',
      field: 'holder',
      cell: base64(holder),
    },
  ]);
};

const base64 = (cell: unknown): string => (cell as Buffer).toString('base64');

interface Opened {
  readonly keys: number;
  readonly serials: readonly number[];
}

/** Whoever is in the process has a copy of the table as well. */
async function openWithReachableKeys(): Promise<Opened> {
  const file = join(folder, 'cells.json');
  writeFileSync(file, JSON.stringify(await cellsOf()));
  return web!.tell<Opened>(`open ${file}`);
}

/** What of the keys that the KMS handed out, and of the values, is in the process where anybody can reach it. */
async function foundInMemory(): Promise<readonly string[]> {
  const file = join(folder, 'memory');
  expect(await web!.tell(`dump ${file}`)).toEqual({ dumped: true });
  const memory = readFileSync(file);
  const serials = Array.from({ length: ROWS }, (_, serial) => serial);
  const secrets: Readonly<Record<string, readonly Buffer[]>> = {
    'bytes of a key': tiers.roots,
    'a key in base64': tiers.roots.map((root) => Buffer.from(root.toString('base64'))),
    'a card number': serials.map((serial) => Buffer.from(panOf(serial))),
    'a name': serials.map((serial) => Buffer.from(`"${holderOf(serial)}"`)),
  };
  expect(isAnyIn(memory, [Buffer.from('EncryptionContext')])).toBe(true);
  return Object.keys(secrets).filter((name) => isAnyIn(memory, secrets[name]!));
}

/** What is on its way to be collected may be seen once: the last answer in the buffer of a socket, for instance. */
async function expectNothingInMemory(): Promise<void> {
  await vi.waitFor(
    async () => {
      expect(await foundInMemory()).toEqual([]);
    },
    { timeout: 25_000, interval: 1_000 },
  );
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

function sealWith(principal: Principal, options: Partial<FieldSealOptions> = {}) {
  return createFieldSeal({
    application: 'shop',
    environment: 'test',
    purposes: PURPOSES,
    keys: kmsSource({ kms: awsKms(tiers.kmsOptions(principal)) }),
    ...options,
  });
}

/** The payment tier reads all cards. */
async function readAll(purposes: Readonly<Record<string, PurposeOptions>> = PURPOSES): Promise<Card[]> {
  const seal = await sealWith('payment', { access: 'read-only', purposes });
  const dataSource = new DataSource({ type: 'postgres', url: tiers.payment.url, entities: [Card] });
  await attachFieldSeal(dataSource, seal).initialize();
  try {
    return await dataSource.manager.find(Card, { order: { serial: 'ASC' } });
  } finally {
    await dataSource.destroy();
    await seal.close();
  }
}

describe('a web process that gives each record a key of its own', () => {
  writesRows();

  it('writes what the payment tier reads, with the rights of its tier alone', async () => {
    const cards = await readAll();
    expect(cards).toHaveLength(ROWS);
    expect(cards.map(({ pan, holder }) => [pan, holder])).toEqual(
      cards.map(({ serial }) => [panOf(serial), holderOf(serial)]),
    );
    const asked = new Set(tiers.kms.audit().flatMap((one) => (one.principal === 'web' ? [one.event] : [])));
    expect(asked).toEqual(new Set(['GenerateDataKey', 'Decrypt', 'ReEncrypt'])); // the last two as dry runs at start
    const paid = tiers.kms.audit().filter((one) => one.principal === 'payment');
    expect(new Set(paid.map(({ event, error }) => `${event} ${error}`))).toEqual(new Set(['Decrypt null']));
    expect(new Set((await cellsOf()).map(({ cell }) => keyOf(cell)))).toHaveLength(2 * ROWS);
  });

  it('holds no key and no value when it is taken over', async () => {
    await expectNothingInMemory();
    expect(await openWithReachableKeys()).toEqual({ keys: 0, serials: [] });
  });

  it('has credentials that open nothing, by no operation and under no context', async () => {
    const kms = new KMSClient({
      region: tiers.kms.region,
      endpoint: tiers.kms.endpoint,
      credentials: tiers.kms.credentials('web'),
      maxAttempts: 1,
    });
    const cells = (await cellsOf()).filter((_, i) => i % 100 < 2);
    for (const { cell, purpose } of cells) {
      const { header } = parseCell(Buffer.from(cell, 'base64'));
      if (header.delivery !== 'envelope') throw new Error(`Expected an envelope, got ${header.delivery}.`);
      const CiphertextBlob = header.wrapped;
      const EncryptionContext = {
        ...{ application: 'shop', environment: 'test' },
        purpose,
        kind: 'data',
        delivery: 'envelope',
      };
      for (const KeyId of Object.values(tiers.kmsOptions('web').keks).flat()) {
        await expect(
          kms.send(new DecryptCommand({ CiphertextBlob, EncryptionContext, KeyId })),
        ).rejects.toMatchObject({ name: 'AccessDeniedException' });
        await expect(
          kms.send(
            new ReEncryptCommand({
              ...{ CiphertextBlob, DestinationKeyId: KeyId, SourceKeyId: KeyId },
              SourceEncryptionContext: EncryptionContext,
            }),
          ),
        ).rejects.toMatchObject({ name: 'AccessDeniedException' });
      }
    }
    kms.destroy();
  });

  it('has a configuration and a database role that read nothing', async () => {
    for (const access of ['read-write', 'read-only'] as const)
      await expect(sealWith('web', { access })).rejects.toMatchObject({ code: 'ERR_KMS_DENIED' });
    const client = new Client({ connectionString: tiers.web.url });
    await client.connect();
    try {
      for (const column of ['pan', 'holder', 'pan_bidx', 'pan_key', '*'])
        await expect(client.query(`SELECT ${column} FROM cards`)).rejects.toMatchObject({ code: '42501' });
      await expect(client.query('UPDATE cards SET serial = 1')).rejects.toMatchObject({ code: '42501' });
      await expect(client.query('DELETE FROM cards')).rejects.toMatchObject({ code: '42501' });
    } finally {
      await client.end();
    }
  });
});

describe('a web process that reuses a key for a window', () => {
  const reuse = { envelope: { reuse: { cells: 100, for: '1h' } } } as const;
  const purposes = {
    'card-number': { ...PURPOSES['card-number'], delivery: reuse },
    'personal-data': { ...PURPOSES['personal-data'], delivery: reuse },
  };

  writesRows(purposes);

  it('opens no row that is older than the window when it is taken over', async () => {
    await expectNothingInMemory();
    const { keys, serials } = await openWithReachableKeys();
    expect(keys).toBe(2);
    expect(serials).toEqual(Array.from({ length: 100 }, (_, i) => ROWS - 100 + i));
    expect((await readAll(purposes)).map(({ pan }) => pan)).toEqual(
      Array.from({ length: ROWS }, (_, serial) => panOf(serial)),
    );
    const made = tiers.kms.audit().filter((one) => one.event === 'GenerateDataKey');
    // Two purposes, ten windows each, and what the start asks: a key for the name of each KEK and one for the check.
    expect(made).toHaveLength(2 * 10 + 2 * 3);
  });
});

describe('a web process with more rights than its tier has', () => {
  it('does not start', async () => {
    tiers = await openTiers();
    await expect(sealWith('key-service', { access: 'write-only' })).rejects.toMatchObject({
      code: 'ERR_KMS_TOO_MUCH_PRIVILEGE',
    });
    await tiers.close();
  });
});

const keyOf = (cell: string): string => Buffer.from(cell, 'base64').subarray(2, 18).toString('hex');
