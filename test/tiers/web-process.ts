/** The web tier: writes cards and, when it is told so, is taken over: whoever runs in it looks for what opens them. */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DataSource } from 'typeorm';
import {
  createFieldSeal,
  kmsSource,
  publicKeySource,
  type KeySource,
  type PurposeOptions,
} from '../../src/index.js';
import { awsKms, type AwsKmsOptions } from '../../src/kms/aws.js';
import { attachFieldSeal } from '../../src/typeorm/index.js';
import { Card, newCard } from './card.js';
import { cellsOpenedByReachableKeys, dumpMemory } from './memory.js';

export interface WebSetup {
  readonly url: string;
  readonly keys: WebKeys;
  readonly purposes: Readonly<Record<string, PurposeOptions>>;
}

/** The rights to make data keys; or a folder with a signed list for each purpose, and what it is verified with. */
export type WebKeys =
  { readonly kms: AwsKmsOptions } | { readonly lists: string; readonly verificationKey: string };

function sourceOf(keys: WebKeys): KeySource {
  if ('kms' in keys) return kmsSource({ kms: awsKms(keys.kms) });
  const { lists, verificationKey } = keys;
  return publicKeySource({ verificationKey, read: (purpose) => readFile(join(lists, purpose), 'utf8') });
}

const BATCH = 100;
let said = 0;

const { url, keys, purposes } = JSON.parse(process.argv[2]!) as WebSetup;
const seal = await createFieldSeal({
  application: 'shop',
  environment: 'test',
  access: 'write-only',
  purposes,
  keys: sourceOf(keys),
});
const dataSource = new DataSource({ type: 'postgres', url, entities: [Card] });
await attachFieldSeal(dataSource, seal, { insertOnly: true }).initialize();
say({ started: true });

const ORDERS: Readonly<Record<string, (argument: string) => Promise<unknown>>> = {
  write: async (count) => {
    for (let from = 0; from < Number(count); from += BATCH) {
      const cards = Array.from({ length: Math.min(BATCH, Number(count) - from) }, (_, i) =>
        newCard(from + i),
      );
      await dataSource.getRepository(Card).insert(cards);
    }
    return { wrote: Number(count), calls: seal.stats().kmsCalls };
  },
  dump: async (file) => {
    await dumpMemory(file);
    return { dumped: true };
  },
  /** @param file With a copy of the table's cells, as JSON. */
  open: (file) => cellsOpenedByReachableKeys(JSON.parse(readFileSync(file, 'utf8')) as readonly StolenCell[]),
  end: async () => {
    await dataSource.destroy();
    await seal.close();
    return { ended: true };
  },
};

export interface StolenCell {
  readonly serial: number;
  readonly id: string;
  readonly purpose: string;
  readonly field: string;
  /** base64 */
  readonly cell: string;
}

for await (const line of createInterface({ input: process.stdin })) {
  const [order = '', argument = ''] = line.split(' ');
  try {
    say(await ORDERS[order]!(argument));
  } catch (error) {
    say({ failed: String((error as { code?: unknown }).code ?? error) });
  }
  if (order === 'end') break;
}

function say(what: unknown): void {
  console.log(`${(said += 1)}: ${JSON.stringify(what)}`);
}
