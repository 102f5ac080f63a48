/** A KEK in another region whose KMS does not answer, for a while or from the start; and KEKs that will go. */
import { DisableKeyCommand, ScheduleKeyDeletionCommand } from '@aws-sdk/client-kms';
import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, it, vi } from 'vitest';
import { createFieldSeal, keyStoreSource, kmsSource, type FieldSealEvent } from '../../src/index.js';
import { awsKms, type AwsKmsOptions } from '../../src/kms/aws.js';
import type { KmsEmulator } from '../../src/kms/emulator/emulator.js';
import { memoryKeyStore } from '../../src/store/memory.js';
import { FakeClock } from '../keys/fake-clock.js';
import { after, CARD, CARD_KEKS, client, emulator, failure, optionsFor } from './kms.js';

const FAR = 'eu-west-1';
const DAY_MS = 86_400_000;
const QUICK = { attempts: 1, timeouts: { connectMs: 1_000, requestMs: 5_000, totalMs: 10_000 } };
const PURPOSE = CARD.purpose;

interface TwoRegions {
  readonly near: KmsEmulator;
  readonly nearArn: string;
  readonly farArn: string;
  readonly options: AwsKmsOptions;
}

/** Nobody listens where the KMS of the far region should be. */
async function twoRegions(): Promise<TwoRegions> {
  const port = await freePort();
  const near = await emulator({ createKeys: ['alias/card-a'] });
  const farArn = `arn:aws:kms:${FAR}:000000000000:key/00000000-0000-4000-8000-000000000001`;
  const endpoint = { [near.region]: near.endpoint, [FAR]: `http://127.0.0.1:${port}` };
  const options = {
    ...{ ...optionsFor(near), ...QUICK, endpoint },
    keks: { [PURPOSE]: ['alias/card-a', farArn] },
  };
  return { near, nearArn: near.aliases()['alias/card-a']!, farArn, options };
}

describe('a second KEK that does not answer', () => {
  it('stops no process, and new keys go under the other one', async () => {
    const { options, nearArn, farArn } = await twoRegions();
    const events: FieldSealEvent[] = [];
    const store = memoryKeyStore();
    const seal = await createFieldSeal({
      ...{ application: 'shop', environment: 'test' },
      purposes: { [PURPOSE]: { requireKekSpread: true } },
      keys: keyStoreSource({ store, kms: awsKms(options) }),
      onEvent: (event) => events.push(event),
    });
    const keks = (await store.list(CARD)).flatMap(({ wraps }) => wraps.map(({ kek }) => kek));
    expect(new Set(keks)).toEqual(new Set([nearArn]));
    const [alarm] = events.filter(({ type }) => type === 'alarm');
    expect(alarm).toMatchObject({ code: 'ERR_KMS_UNAVAILABLE' });
    expect(JSON.stringify(alarm)).toContain(farArn);
    await seal.close();
  });

  it.each(['read-write', 'write-only'] as const)('stops no process of envelopes (%s)', async (access) => {
    const { options, near } = await twoRegions();
    const seal = await createFieldSeal({
      ...{ application: 'shop', environment: 'test', access, privilegeCheck: 'off' },
      purposes: { [PURPOSE]: { delivery: 'envelope', requireKekSpread: true } },
      keys: kmsSource({ kms: awsKms(options) }),
    });
    const before = near.audit().length;
    for (let i = 0; i < 8; i++) await seal.sealAsync(PURPOSE, 'card.pan', '4111111111111111');
    expect(near.audit().length).toBe(before + 8);
    await seal.close();
  });

  it('is asked again every minute, and serves when it is back', async () => {
    const { options, near, nearArn } = await twoRegions();
    const far = await emulator({ region: FAR, createKeys: ['alias/card-b'] });
    const farArn = far.aliases()['alias/card-b']!;
    const clock = new FakeClock();
    const endpoint = { [near.region]: near.endpoint, [FAR]: far.endpoint };
    const keks = { [PURPOSE]: ['alias/card-a', farArn] };
    const kms = awsKms({ ...options, endpoint, keks }, clock);
    after(() => kms.close());
    far.faults.inject('DescribeKey', 'close');
    await kms.start([PURPOSE], () => undefined);
    expect(kms.keks(PURPOSE)).toEqual([nearArn]);
    expect(kms.openKeks(PURPOSE)).toContain(farArn); // an ARN needs no answer to be known
    far.faults.clear();
    await clock.advance(60_000);
    await vi.waitFor(() => {
      expect(kms.keks(PURPOSE)).toEqual([nearArn, farArn]);
    });
  });

  it('that has an alias is told as one that may come back, not as a stranger', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    const whole = awsKms(optionsFor(kms));
    after(() => whole.close());
    await whole.start([PURPOSE], () => undefined);
    const second = whole.keks(PURPOSE)[1]!;
    const { wrap } = await whole.generate(second, CARD);
    kms.faults.inject('DescribeKey', 'close', { keyArn: second });
    const half = awsKms({ ...optionsFor(kms), ...QUICK });
    after(() => half.close());
    await half.start([PURPOSE], () => undefined);
    expect((await failure('ERR_KMS_UNAVAILABLE', half.unwrap([wrap], CARD))).retryable).toBe(true);
  });

  it('fails the start with its own error where no other one answers', async () => {
    const { options, farArn } = await twoRegions();
    const kms = awsKms({ ...options, keks: { [PURPOSE]: [farArn] } });
    after(() => kms.close());
    await failure(
      'ERR_KMS_UNAVAILABLE',
      kms.start([PURPOSE], () => undefined),
    );
  });

  it('falls silent later: the next key goes under the one that answers', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    const events: FieldSealEvent[] = [];
    const store = memoryKeyStore();
    const keys = keyStoreSource({ store, kms: awsKms({ ...optionsFor(kms), ...QUICK }) });
    const clock = new FakeClock();
    const seal = await createFieldSeal({
      ...{ application: 'shop', environment: 'test', clock },
      purposes: { [PURPOSE]: { pool: { validKeys: 2, handOut: 2, futureKeys: 1 } } },
      keys,
      onEvent: (event) => events.push(event),
    });
    const silent = kms.aliases()['alias/card-b']!;
    for (const operation of ['GenerateDataKey', 'Decrypt'] as const)
      kms.faults.inject(operation, 'close', { keyArn: silent });
    clock.setWallBy(60 * DAY_MS); // every key has ended
    const handedOut = await keys.handOut(PURPOSE, []);
    expect(handedOut.length).toBeGreaterThan(0);
    const sealing = await store.list(CARD, { kinds: ['data'], states: ['ENCRYPT'] });
    expect(sealing).toHaveLength(2);
    for (const { wraps } of sealing) expect(wraps[0]!.kek).not.toBe(silent);
    await seal.close();
  });
});

describe('a close while a KEK is asked', () => {
  /** The first KEK answers, and the second one is never heard of. */
  async function halfSilent() {
    const kms = await emulator({ createKeys: CARD_KEKS });
    const clock = new FakeClock();
    const events: FieldSealEvent[] = [];
    const aws = awsKms(optionsFor(kms), clock);
    const hang = (): void => {
      kms.faults.inject('*', 'hang', { keyArn: kms.aliases()['alias/card-b']! });
    };
    const start = () => aws.start([PURPOSE], (event) => events.push(event));
    return { kms, clock, events, aws, hang, start };
  }

  it('ends the start, raises no alarm and leaves no timer', async () => {
    const { kms, clock, events, aws, hang, start } = await halfSilent();
    hang();
    const started = start();
    await vi.waitFor(() => {
      expect(kms.audit()).toHaveLength(2);
    });
    await aws.close();
    await failure('ERR_KMS_UNAVAILABLE', started);
    expect(events).toEqual([]);
    expect(clock.armed).toBe(0);
  });

  it('ends a later look, raises no alarm and leaves no timer', async () => {
    const { kms, clock, events, aws, hang, start } = await halfSilent();
    await start();
    hang();
    await clock.advance(DAY_MS);
    await vi.waitFor(() => {
      expect(kms.audit()).toHaveLength(4);
    });
    await aws.close();
    await clock.advance(DAY_MS);
    expect(events).toEqual([]);
    expect(clock.armed).toBe(0);
  });
});

describe('a KEK that will go', () => {
  it.each([
    ['pending deletion', 'PendingDeletion'],
    ['disabled', 'Disabled'],
  ])('is an alarm at start, in openKeks too (%s)', async (_, state) => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    await endKek(kms, 'alias/card-b', state);
    const aws = awsKms({
      ...optionsFor(kms),
      keks: { [PURPOSE]: ['alias/card-a'] },
      openKeks: { [PURPOSE]: ['alias/card-b'] },
    });
    after(() => aws.close());
    const events: FieldSealEvent[] = [];
    await aws.start([PURPOSE], (event) => events.push(event));
    expect(events).toMatchObject([{ type: 'alarm', code: 'ERR_KMS_KEK_UNUSABLE' }]);
    expect(JSON.stringify(events)).toContain(state);
  });

  it('is an alarm within a day of a process that runs, and wraps no more', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    const clock = new FakeClock();
    const aws = awsKms(optionsFor(kms), clock);
    after(() => aws.close());
    const events: FieldSealEvent[] = [];
    await aws.start([PURPOSE], (event) => events.push(event));
    await endKek(kms, 'alias/card-b', 'PendingDeletion');
    await clock.advance(DAY_MS);
    await vi.waitFor(() => {
      expect(events).toMatchObject([{ type: 'alarm', code: 'ERR_KMS_KEK_UNUSABLE' }]);
    });
    expect(aws.keks(PURPOSE)).toEqual([kms.aliases()['alias/card-a']]);
    await clock.advance(DAY_MS);
    await vi.waitFor(() => {
      expect(events).toHaveLength(2);
    });
  });
});

describe('100 purposes of two KEKs', () => {
  it('ask for each KEK once', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    const purposes = Array.from({ length: 100 }, (_, i) => `purpose-${i}`);
    const keks = Object.fromEntries(purposes.map((purpose) => [purpose, CARD_KEKS]));
    const aws = awsKms({ ...optionsFor(kms), keks });
    after(() => aws.close());
    await aws.start(purposes, () => undefined);
    expect(aws.calls()).toEqual({ DescribeKey: 2 });
  });
});

async function endKek(kms: KmsEmulator, alias: string, state: string): Promise<void> {
  const KeyId = kms.aliases()[alias]!;
  await client(kms).send(
    state === 'Disabled' ? new DisableKeyCommand({ KeyId }) : new ScheduleKeyDeletionCommand({ KeyId }),
  );
}

/** A port of this machine at which nobody listens. */
function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => {
        resolve(port);
      });
    });
  });
}
