/**
 * A web process under the policies and grants of its tier writes 1,000 rows and is then taken over: with its credentials,
 * its configuration, its database role and every object that is reachable in it, nothing is opened.
 */
import { DecryptCommand, KMSClient, ReEncryptCommand } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseCell } from '../../src/cell/format.js';
import { createFieldSeal, kmsSource, type FieldSealOptions } from '../../src/index.js';
import { awsKms } from '../../src/kms/aws.js';
import { holderOf, panOf } from './card.js';
import { openTiers, purposesOf, type Principal, type Tiers } from './fixture.js';
import { cellsOf, expectReadsNothing, readAll, webScript, WebTier, type WebScript } from './takeover.js';

const ROWS = 1_000;
const PURPOSES = purposesOf('envelope');

let script: WebScript;
let tiers: Tiers;
let web: WebTier | undefined;

beforeAll(async () => {
  script = await webScript();
});
afterAll(() => {
  script.remove();
});

/** Before and after all tests of a description: they only look at what was written. */
function writesRows(purposes = PURPOSES): void {
  beforeAll(async () => {
    tiers = await openTiers();
    web = await WebTier.start(script, tiers, { keys: { kms: tiers.kmsOptions('web') }, purposes });
    await web.write(ROWS);
  });
  afterAll(async () => {
    await web?.end();
    web = undefined;
    await tiers.close();
  });
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

const readCards = async (purposes = PURPOSES) =>
  readAll(tiers, await sealWith('payment', { access: 'read-only', purposes }));

describe('a web process that gives each record a key of its own', () => {
  writesRows();

  it('writes what the payment tier reads, with the rights of its tier alone', async () => {
    const cards = await readCards();
    expect(cards).toHaveLength(ROWS);
    expect(cards.map(({ pan, holder }) => [pan, holder])).toEqual(
      cards.map(({ serial }) => [panOf(serial), holderOf(serial)]),
    );
    const asked = new Set(tiers.kms.audit().flatMap((one) => (one.principal === 'web' ? [one.event] : [])));
    expect(asked).toEqual(new Set(['GenerateDataKey', 'Decrypt', 'ReEncrypt', 'CreateGrant'])); // the last three as dry runs at start
    const paid = tiers.kms.audit().filter((one) => one.principal === 'payment');
    expect(new Set(paid.map(({ event, error }) => `${event} ${error}`))).toEqual(new Set(['Decrypt null']));
    expect(new Set((await cellsOf(tiers)).map(({ cell }) => keyOf(cell)))).toHaveLength(2 * ROWS);
  });

  it('holds no key and no value when it is taken over', async () => {
    await web!.expectNothingInMemory(ROWS);
    expect(await web!.openWithReachableKeys()).toEqual({ keys: 0, privateKeys: 0, serials: [] });
  });

  it('has credentials that open nothing, by no operation and under no context', async () => {
    const kms = new KMSClient({
      region: tiers.kms.region,
      endpoint: tiers.kms.endpoint,
      credentials: tiers.kms.credentials('web'),
      maxAttempts: 1,
    });
    const cells = (await cellsOf(tiers)).filter((_, i) => i % 100 < 2);
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
    await expectReadsNothing(tiers);
  });
});

describe('a web process that reuses a key for a window', () => {
  const purposes = purposesOf({ envelope: { reuse: { cells: 100, for: '1h' } } });

  writesRows(purposes);

  it('opens no row that is older than the window when it is taken over', async () => {
    await web!.expectNothingInMemory(ROWS);
    const { keys, serials } = await web!.openWithReachableKeys();
    expect(keys).toBe(2);
    expect(serials).toEqual(Array.from({ length: 100 }, (_, i) => ROWS - 100 + i));
    expect((await readCards(purposes)).map(({ pan }) => pan)).toEqual(
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
