/** Key sources as a field seal starts them: real SDK, the KMS emulator, a key store, a clock in the test's hand. */
import { randomInt } from 'node:crypto';
import { expect } from 'vitest';
import type { ErrorCode } from '../../src/errors.js';
import { awsKms, type AwsKmsOptions } from '../../src/kms/aws.js';
import { recordKey } from '../canary.js';
import { startKmsEmulator, type KmsEmulator } from '../../src/kms/emulator/emulator.js';
import type { FieldSealEvent } from '../../src/keys/events.js';
import { parsePolicies, type PurposeOptions } from '../../src/keys/policy.js';
import type {
  Clock,
  KeyScope,
  KeySource,
  KeyStore,
  LockedKeyStore,
  SourceContext,
} from '../../src/keys/ports.js';
import type { KeyState } from '../../src/keys/states.js';
import type { ScopeDesk } from '../../src/service/scope-desk.js';
import { ScopeLedger } from '../../src/service/scope-ledger.js';
import { findStoreKey } from '../../src/service/store-key.js';
import { keyStoreSource, type KeyStoreSourceOptions } from '../../src/service/key-store-source.js';

export const SCOPE: KeyScope = { application: 'shop', environment: 'test', purpose: 'card-number' };
export const DAY_MS = 86_400_000;
export const HOUR_MS = 3_600_000;
export const START = Date.UTC(2026, 0, 1);

const TWO_KEKS = { 'card-number': ['alias/card-a', 'alias/card-b'], 'personal-data': ['alias/pii'] };

/** A wall clock that stands still until it is told to move, and timers that run when the test says so. */
export class HandClock implements Clock {
  now = START;
  readonly timers = new Set<() => void>();

  wall(): number {
    return this.now;
  }

  monotonic(): number {
    return this.now;
  }

  after(_delayMs: number, task: () => void): () => void {
    this.timers.add(task);
    return () => void this.timers.delete(task);
  }

  runTimers(): void {
    const due = [...this.timers];
    this.timers.clear();
    for (const task of due) task();
  }
}

export function startEmulator(): Promise<KmsEmulator> {
  return startKmsEmulator({
    createKeys: ['alias/card-a', 'alias/card-b', 'alias/pii'],
    unsafeOnPlaintext: recordKey,
  });
}

/** The real SDK with time-outs short enough for tests of a KMS that is out of reach. */
export function kmsOf(
  emulator: KmsEmulator,
  options: Partial<AwsKmsOptions> = {},
): ReturnType<typeof awsKms> {
  return awsKms({
    region: emulator.region,
    endpoint: emulator.endpoint,
    credentials: emulator.credentials(),
    keks: TWO_KEKS,
    attempts: 2,
    timeouts: { connectMs: 500, requestMs: 500 },
    ...options,
  });
}

export interface OpenedSource {
  readonly source: KeySource;
  readonly events: FieldSealEvent[];
  readonly revoked: string[];
  readonly clock: HandClock;
  /** What the process is said to hold. */
  readonly held: string[];
}

export interface SourceSetup extends Omit<KeyStoreSourceOptions, 'kms'> {
  readonly emulator: KmsEmulator;
  readonly keks?: AwsKmsOptions['keks'];
  readonly timeouts?: AwsKmsOptions['timeouts'];
  readonly purposes?: Readonly<Record<string, PurposeOptions>>;
  readonly clock?: HandClock;
  /** The clock of a key store that has one. Default: the same as the process's. */
  readonly databaseClock?: HandClock;
  readonly application?: string;
}

/** A source that is not started, and the context to start it with. */
export function makeSource(setup: SourceSetup): OpenedSource & { readonly context: SourceContext } {
  const {
    emulator,
    keks,
    timeouts,
    purposes = { 'card-number': {} },
    clock = new HandClock(),
    databaseClock = clock,
    application,
    store,
    ...options
  } = setup;
  const source = keyStoreSource({
    ...options,
    store: withClock(store, databaseClock),
    kms: kmsOf(emulator, { ...(keks && { keks }), ...(timeouts && { timeouts }) }),
  });
  const opened: OpenedSource = { source, events: [], revoked: [], clock, held: [] };
  const context: SourceContext = {
    application: application ?? SCOPE.application,
    environment: SCOPE.environment,
    access: 'read-write',
    policies: parsePolicies(purposes),
    clock,
    randomBelow: (below) => randomInt(below),
    emit: (event) => void opened.events.push(event),
    revoke: (fingerprints) => void opened.revoked.push(...fingerprints),
    held: () => opened.held,
  };
  return { ...opened, context };
}

export async function startSource(setup: SourceSetup): Promise<OpenedSource> {
  const { context, ...opened } = makeSource(setup);
  try {
    await opened.source.start(context);
    return opened;
  } catch (error) {
    await opened.source.close();
    throw error;
  }
}

/** Codes of the alarms that name a key. */
export function alarmsOfKeys({ events }: Pick<OpenedSource, 'events'>): string[] {
  return events.flatMap((event) =>
    event.type === 'alarm' && event.fingerprint !== undefined ? [event.code] : [],
  );
}

/** Codes of all alarms. */
export function alarmsOf({ events }: Pick<OpenedSource, 'events'>): string[] {
  return events.flatMap((event) => (event.type === 'alarm' ? [event.code] : []));
}

/** Matches an error with this code. */
export function hasCode(code: ErrorCode): Error {
  return expect.objectContaining({ code }) as Error;
}

/** How many rows of the scope are in each state, by kind. */
export async function census(store: KeyStore, scope: KeyScope = SCOPE): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { kind, state } of await store.list(scope)) {
    counts[`${kind} ${state}`] = (counts[`${kind} ${state}`] ?? 0) + 1;
  }
  return counts;
}

/** What an operator's tool does: moves a key with its event, under the lock of the scope. */
export async function moveKey(
  store: KeyStore,
  emulator: KmsEmulator,
  fingerprint: string,
  to: KeyState,
): Promise<void> {
  const kms = kmsOf(emulator);
  await kms.start([SCOPE.purpose], () => undefined);
  const desk: ScopeDesk = {
    scope: SCOPE,
    policy: parsePolicies({ [SCOPE.purpose]: {} }).get(SCOPE.purpose)!,
    ...{ store, kms, clock: new HandClock(), randomBelow: (below) => randomInt(below), actor: 'operator' },
    emit: () => undefined,
  };
  const ledger = new ScopeLedger(SCOPE, (await findStoreKey(desk, store))!);
  const by = { at: new Date(START), who: desk.actor, why: 'incident 7' };
  await ledger.change(store, (rows) => rows.move(fingerprint, to, by));
  ledger.close();
  await kms.close();
}

/** The same store by another clock, under its lock too. */
export function withClock(inner: KeyStore, clock: HandClock): KeyStore {
  const now = (): Promise<number> => Promise.resolve(clock.now);
  return overriding(inner, {
    now,
    withLock: (scope, work) => inner.withLock(scope, (locked) => work(overriding(locked, { now }))),
  });
}

/** The same store, or store under its lock, with some of its members replaced, or taken away. */
export function overriding<Store extends KeyStore | LockedKeyStore>(
  inner: Store,
  members: { readonly [Name in keyof Store]?: Store[Name] | undefined },
): Store {
  return new Proxy(inner, {
    get: (target, name) => {
      if (Object.hasOwn(members, name)) return members[name as keyof Store];
      const member = Reflect.get(target, name) as unknown;
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}
