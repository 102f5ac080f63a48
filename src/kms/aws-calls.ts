/** Calls to AWS KMS: one client per region, counted, limited in time, retried; failures as values with a KmsError. */
import { setMaxListeners } from 'node:events';
import type * as Sdk from '@aws-sdk/client-kms';
import type { KMSClient } from '@aws-sdk/client-kms';
import type { KmsError } from '../errors.js';
import type { FieldSealEvent } from '../keys/events.js';
import { loadPeer } from '../keys/peer.js';
import { regionOfArn } from './arn.js';
import { wipeBodies } from './aws-bodies.js';
import { wipingAgents } from './aws-connections.js';
import { CLOSED, describeError, failureOf, kmsError, tellClockCorrection } from './aws-failures.js';
import type { Failure } from './aws-failures.js';
import type { AwsKmsSettings } from './aws-options.js';
import { withRetries } from './retry.js';
import type { BoundContext } from './wrap-context.js';

export type AwsSdk = typeof Sdk;

/** What came of a call. */
export type Outcome<T> = { readonly answer: T } | { readonly error: KmsError; readonly nextWrap: boolean };

/** One call to make. */
export interface AwsCall<T> {
  readonly operation: string;
  /** Name or ARN of the KEK. */
  readonly kek: string;
  /** Who needs it, for messages: `purpose "card-number", kind data`. */
  readonly reason: string;
  send(client: KMSClient, sdk: AwsSdk, options: { readonly abortSignal: AbortSignal }): Promise<T>;
  /** What to do, where a failure of this call means something else than of most. */
  readonly advice?: Partial<Record<Failure['code'], string>>;
  /** The answer that the last error is, for calls that are meant to be refused: no failure, so no alarm. */
  answerIn?(error: unknown): T;
}

export class AwsCalls {
  readonly #settings: AwsKmsSettings;
  readonly #emit: (event: FieldSealEvent) => void;
  readonly #sdk: AwsSdk;
  readonly #clients = new Map<string, KMSClient>();
  readonly #counts = new Map<string, number>();
  readonly #closed = new AbortController();

  constructor(settings: AwsKmsSettings, sdk: AwsSdk, emit: (event: FieldSealEvent) => void) {
    this.#settings = settings;
    this.#sdk = sdk;
    this.#emit = emit;
    // One listener per call under way is right here, not a leak.
    setMaxListeners(0, this.#closed.signal);
  }

  /** Makes the call, again where that can help. Never throws. */
  async make<T>(call: AwsCall<T>): Promise<Outcome<T>> {
    try {
      const { attempts, timeouts } = this.#settings;
      const answer = await withRetries(
        (leftMs) => this.#attempt(call, Math.min(leftMs, timeouts.requestMs)),
        (error) => failureOf(error).retry,
        { attempts, totalMs: timeouts.totalMs },
        this.#closed.signal,
      );
      return { answer };
    } catch (error) {
      if (this.#closed.signal.aborted) return this.fail(CLOSED, call, describeError(error), error);
      if (call.answerIn !== undefined) return { answer: call.answerIn(error) };
      return this.fail(failureOf(error), call, describeError(error), error);
    }
  }

  /** The outcome of a call that fails on this side. `detail` says what was expected and got. */
  fail(failure: Failure, call: AwsCall<unknown>, detail: string, error?: unknown): Outcome<never> {
    const advice = call.advice?.[failure.code] ?? failure.advice;
    const failed = kmsError(
      { ...failure, advice },
      `${call.operation} under ${call.kek} for ${call.reason}`,
      detail,
      error,
    );
    if (failure.alarm) this.#emit({ type: 'alarm', code: failed.code, message: failed.message });
    return { error: failed, nextWrap: failure.nextWrap };
  }

  counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  /** Ends running calls and frees the connections. */
  close(): void {
    this.#closed.abort();
    for (const client of this.#clients.values()) client.destroy();
  }

  async #attempt<T>(call: AwsCall<T>, timeoutMs: number): Promise<T> {
    this.#closed.signal.throwIfAborted();
    this.#counts.set(call.operation, (this.#counts.get(call.operation) ?? 0) + 1);
    const abort = new AbortController();
    const stop = (): void => {
      abort.abort();
    };
    this.#closed.signal.addEventListener('abort', stop);
    const timer = setTimeout(stop, Math.max(1, timeoutMs));
    const client = this.#client(call.kek);
    const { systemClockOffset } = client.config;
    try {
      // The SDK watches the signal while it waits for the answer, not while it fetches credentials: hence the race.
      return await Promise.race([
        call.send(client, this.#sdk, { abortSignal: abort.signal }),
        rejectOnAbort(abort.signal),
      ]);
    } catch (error) {
      tellClockCorrection(error, client.config.systemClockOffset - systemClockOffset);
      throw error;
    } finally {
      clearTimeout(timer);
      this.#closed.signal.removeEventListener('abort', stop);
    }
  }

  #client(kek: string): KMSClient {
    const region = regionOfArn(kek) ?? this.#settings.region;
    let client = this.#clients.get(region);
    if (client === undefined) {
      client = new this.#sdk.KMSClient(clientConfig(this.#settings, region));
      wipeBodies(client);
      this.#clients.set(region, client);
    }
    return client;
  }
}

/**
 * Loads the AWS SDK, which is an optional peer.
 * @throws ConfigError `ERR_CONFIG_PEER_MISSING`, `ERR_CONFIG_PEER_FAILED`.
 */
export function loadAwsSdk(): Promise<AwsSdk> {
  return loadPeer('@aws-sdk/client-kms', () => import('@aws-sdk/client-kms'), 'awsKms');
}

/** The answer of a call. @throws KmsError, where it failed. */
export function answerOf<T>(outcome: Outcome<T>): T {
  if ('error' in outcome) throw outcome.error;
  return outcome.answer;
}

/** Who needs a call, for its messages. */
export function reasonOf({ purpose, kind, delivery }: BoundContext): string {
  return `purpose "${purpose}", kind ${kind}, delivery ${delivery}`;
}

function clientConfig(settings: AwsKmsSettings, region: string) {
  const { endpoint, credentials, timeouts, useFipsEndpoint } = settings;
  const url = typeof endpoint === 'object' ? endpoint.get(region) : endpoint;
  return {
    region,
    useFipsEndpoint,
    // One retry loop, ours: it knows which failures pass, counts every attempt and is bounded in time.
    maxAttempts: 1,
    requestHandler: {
      ...wipingAgents(),
      connectionTimeout: timeouts.connectMs,
      socketTimeout: timeouts.requestMs,
    },
    ...(url === undefined ? {} : { endpoint: url }),
    ...(credentials === undefined ? {} : { credentials }),
  };
}

function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => {
      reject(Object.assign(new Error('no complete answer in time'), { name: 'TimeoutError' }));
    });
  });
}
