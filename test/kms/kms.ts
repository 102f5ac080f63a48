/** The emulator and real SDK clients for the tests of this folder. */
import { KMSClient } from '@aws-sdk/client-kms';
import { afterEach, expect, inject } from 'vitest';
import { isFieldSealError } from '../../src/errors.js';
import type { ErrorCode, FieldSealError } from '../../src/errors.js';
import type { FieldSealEvent } from '../../src/keys/events.js';
import type { KekProvider, KeyScope, WrapContext } from '../../src/keys/ports.js';
import { awsKms } from '../../src/kms/aws.js';
import type { AwsKmsOptions } from '../../src/kms/aws.js';
import { startKmsEmulator } from '../../src/kms/emulator/emulator.js';
import type { KmsEmulator, KmsEmulatorOptions } from '../../src/kms/emulator/emulator.js';
import type { PolicyStatement } from '../../src/kms/emulator/policy-file.js';

declare module 'vitest' {
  interface ProvidedContext {
    awsSdk: 'oldest';
  }
}

/** Whether this project runs with the oldest AWS SDK of the peer range. */
export const isOldestSdk = (inject('awsSdk') as string | undefined) === 'oldest';

/** The id of a KEK's material in a wrap. SDKs of before June 2025 leave it out of the answers that they read. */
export const MATERIAL_ID: unknown = isOldestSdk ? null : expect.stringMatching(/^[0-9a-f]{64}$/);

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Runs after the test, last one first. */
export function after(cleanup: () => unknown): void {
  cleanups.push(cleanup);
}

export async function emulator(options: KmsEmulatorOptions = {}): Promise<KmsEmulator> {
  const started = await startKmsEmulator(options);
  after(() => started.close());
  return started;
}

export const SECRET = 'a-secret-of-the-tests-only';

/** A policy with `admin`, who may do everything, and one principal with these statements per name. */
export function policyWith(others: Readonly<Record<string, readonly PolicyStatement[]>>) {
  const all: PolicyStatement = { Effect: 'Allow', Action: 'kms:*', Resource: '*' };
  const principals = Object.entries({ admin: [all], ...others }).map(([name, Statement], i) => ({
    name,
    accessKeyId: `TESTPRINCIPAL${String(i).padStart(4, '0')}`,
    secretAccessKey: SECRET,
    policy: { Statement },
  }));
  return { principals };
}

export function client(kms: KmsEmulator, principal?: string, changes: object = {}): KMSClient {
  const made = new KMSClient({
    region: kms.region,
    endpoint: kms.endpoint,
    credentials: kms.credentials(principal),
    maxAttempts: 1,
    ...changes,
  });
  after(() => {
    made.destroy();
  });
  return made;
}

export const CARD: WrapContext = {
  application: 'shop',
  environment: 'test',
  purpose: 'card-number',
  kind: 'data',
  delivery: 'pool',
  wrapId: '5e3c1a52-7a34-4f0e-9a55-0d4a6f0f2b11',
};

export const SCOPE: KeyScope = { application: 'shop', environment: 'test', purpose: 'card-number' };

export interface StartedProvider {
  readonly provider: KekProvider;
  readonly events: FieldSealEvent[];
}

/** A started provider with quick retries; its events are collected. */
export async function provider(
  kms: KmsEmulator,
  options: Partial<AwsKmsOptions> = {},
): Promise<StartedProvider> {
  const made = awsKms({ ...optionsFor(kms), ...options });
  const events: FieldSealEvent[] = [];
  after(() => made.close());
  await made.start([CARD.purpose], (event) => events.push(event));
  return { provider: made, events };
}

export function optionsFor(kms: KmsEmulator): AwsKmsOptions {
  return {
    region: kms.region,
    endpoint: kms.endpoint,
    credentials: kms.credentials(kms.principals[0]),
    keks: { [CARD.purpose]: ['alias/card-a', 'alias/card-b'] },
  };
}

export const CARD_KEKS = ['alias/card-a', 'alias/card-b'] as const;

/** The FieldSealError that the promise rejects with; fails for any other outcome. */
export async function failure(code: ErrorCode, promise: Promise<unknown>): Promise<FieldSealError> {
  const error: unknown = await promise.then(
    () => new Error(`expected ${code}, but it succeeded`),
    (thrown: unknown) => thrown,
  );
  if (!isFieldSealError(error)) throw error;
  if (error.code !== code) throw new Error(`expected ${code}, got ${error.code}: ${error.message}`);
  return error;
}

/** Name of the exception that an SDK call ends with; `'success'` when it succeeds. */
export async function exceptionOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'success',
    (error: unknown) => (error instanceof Error ? error.name : String(error)),
  );
}
