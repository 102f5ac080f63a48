/**
 * What a blind index still tells whoever has taken the web tier over: with its rights to have indexes made, and with what
 * its database role sees, he finds card numbers by asking. With indexes that are made later he has nobody to ask.
 */
import { GenerateMacCommand, KMSClient } from '@aws-sdk/client-kms';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { indexMessage, indexOf } from '../../src/cell/blind-index.js';
import { cellColumn } from '../../src/cell/column.js';
import { newRole, type Role } from '../typeorm/role.js';
import { panOf } from './card.js';
import { openTiers, purposesOf, type Principal, type Tiers } from './fixture.js';
import { expectDenied, webScript, WebTier, type WebScript } from './takeover.js';

const ROWS = 20;
const VICTIM = panOf(7);
/** A guess that is wrong, but has the same last four digits. */
const OTHER = '5105105105100007';
/** All that differ in three digits that the mask does not show; of a real card six are unknown, a thousand times as many. */
const CANDIDATES = Array.from(
  { length: 1_000 },
  (_, i) => `400000${String(i).padStart(3, '0')}000${VICTIM.slice(-4)}`,
);

const PAN_COLUMN = cellColumn({
  ...{ application: 'shop', environment: 'test', purpose: 'card-number', entity: 'cards', field: 'pan' },
  ...{ codec: 'string', pad: 0, bound: true },
});

let script: WebScript;
let tiers: Tiers;
let web: WebTier;

beforeAll(async () => {
  script = await webScript();
});
afterAll(() => {
  script.remove();
});

/** A web process that has written its rows; tests are in its place afterwards. */
function writesRows(principal: Principal, index: 'kms' | 'later'): void {
  beforeAll(async () => {
    tiers = await openTiers();
    web = await WebTier.start(script, tiers, {
      keys: { kms: tiers.kmsOptions(principal) },
      purposes: purposesOf('envelope', index),
    });
    await web.write(ROWS);
  });
  afterAll(async () => {
    await web.end();
    await tiers.close();
  });
}

/** The index of a guess, by the stolen credentials and nothing of this library but the bytes of a message. */
function asking(principal: Principal) {
  const { region, endpoint } = tiers.kms;
  const sdk = new KMSClient({
    region,
    endpoint,
    credentials: tiers.kms.credentials(principal),
    maxAttempts: 1,
  });
  const KeyId = tiers.kmsOptions(principal).macKeys!['card-number'] as string;
  return {
    indexOfGuess: async (pan: string): Promise<Buffer> => {
      const Message = indexMessage(1, PAN_COLUMN, pan);
      const { Mac } = await sdk.send(
        new GenerateMacCommand({ KeyId, Message, MacAlgorithm: 'HMAC_SHA_256' }),
      );
      return indexOf(Buffer.from(Mac!));
    },
    close: () => {
      sdk.destroy();
    },
  };
}

/** Whether a row with this index can be stored. Nothing of it stays. */
async function isFree(index: Buffer | null): Promise<boolean> {
  const client = new Client({ connectionString: tiers.web.url });
  await client.connect();
  try {
    await client.query('BEGIN');
    await client.query(
      `INSERT INTO cards (id, serial, pan, pan_key, pan_bidx, pan_mask, holder, holder_key)
       VALUES (gen_random_uuid(), 0, '\\x00', gen_random_uuid(), $1, '0000', '\\x00', gen_random_uuid())`,
      [index],
    );
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code === '23505') return false;
    throw error;
  } finally {
    await client.query('ROLLBACK');
    await client.end();
  }
}

describe('with indexes that the KMS makes', () => {
  writesRows('indexing-web', 'kms');

  it('the process holds no key to index with, and opens nothing', async () => {
    await web.expectNothingInMemory(ROWS);
    expect(await web.openWithReachableKeys()).toEqual({ keys: 0, privateKeys: 0, serials: [] });
  });

  it('a role that sees index and mask finds the number behind a mask, by a call for each guess', async () => {
    const seeing: Role = await newRole(tiers.database, 'SELECT (serial, pan_mask, pan_bidx) ON cards');
    const { indexOfGuess, close } = asking('indexing-web');
    const client = new Client({ connectionString: seeing.url });
    await client.connect();
    try {
      const { rows } = await client.query<{ pan_bidx: Buffer }>(
        'SELECT pan_bidx FROM cards WHERE pan_mask = $1',
        [VICTIM.slice(-4)],
      );
      const stored = new Set(rows.map(({ pan_bidx }) => pan_bidx.toString('hex')));
      const before = tiers.kms.audit().length;
      const found: string[] = [];
      for (const guess of CANDIDATES) {
        if (stored.has((await indexOfGuess(guess)).toString('hex'))) found.push(guess);
      }
      expect(found).toEqual([VICTIM]);
      // What an alarm on the rate of calls sees.
      const asked = tiers.kms.audit().slice(before);
      expect(asked.map(({ principal, event }) => `${principal} ${event}`)).toEqual(
        CANDIDATES.map(() => 'indexing-web GenerateMac'),
      );
    } finally {
      close();
      await client.end();
      await seeing.drop();
    }
  });

  it('the role of the web tier sees no index, and a unique constraint still answers whether a number is stored', async () => {
    await expectDenied(tiers.web.url, [
      'SELECT pan_bidx FROM cards',
      'SELECT 1 FROM cards WHERE pan_bidx IS NULL',
    ]);
    const { indexOfGuess, close } = asking('indexing-web');
    expect(await isFree(await indexOfGuess(VICTIM))).toBe(false);
    expect(await isFree(await indexOfGuess(OTHER))).toBe(true);
    close();
  });
});

describe('with indexes that are made later', () => {
  writesRows('web', 'later');

  it('the credentials have none made, and the constraint answers nothing', async () => {
    const { indexOfGuess, close } = asking('web');
    await expect(indexOfGuess(VICTIM)).rejects.toMatchObject({ name: 'AccessDeniedException' });
    close();
    const rows = await tiers.database.query('SELECT pan_bidx FROM cards');
    expect(rows).toHaveLength(ROWS);
    expect(rows.every(({ pan_bidx: index }) => index === null)).toBe(true);
    expect(await isFree(null)).toBe(true);
  });
});
