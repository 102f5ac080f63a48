/** Loads of keys that are under way: one per key however many wait, one call of the source per purpose and microtask. */
import { isFieldSealError, KeyError } from '../errors.js';
import type { FieldSealError } from '../errors.js';
import { refuseKey } from './admit.js';
import { now } from './deadline.js';
import type { Deadline } from './deadline.js';
import type { Closeable, HeldKey } from './held-key.js';
import type { Clock, LoadOutcome, UnwrappedKey } from './ports.js';
import { answerOf, codedError } from './source-calls.js';

/** What became of one key; told to all who wait for it in one go. */
type Loaded<Key extends Closeable> = HeldKey<Key> | FieldSealError;

export interface KeyLoadsOptions<Key extends Closeable> {
  readonly clock: Clock;
  readonly load: (purpose: string, fingerprints: readonly string[]) => Promise<readonly LoadOutcome[]>;
  /** Makes the key and wipes its root, with one lease for each of the `waiting` pages, which get it right after. */
  readonly admit: (
    purpose: string,
    unwrapped: UnwrappedKey,
    waiting: number,
    asked: Deadline,
  ) => HeldKey<Key>;
  /** Told of every error before the pages are. */
  readonly refused: (purpose: string, fingerprint: string, error: FieldSealError) => void;
  /** Told when a load has reached all who waited for it. */
  readonly settled: (key: HeldKey<Key>) => void;
}

/** One key on its way. */
interface Flight<Key extends Closeable> {
  readonly waiters: ((loaded: Loaded<Key>) => void)[];
  revoked: boolean;
}

type Flights<Key extends Closeable> = Map<string, Flight<Key>>;

export class KeyLoads<Key extends Closeable> {
  readonly #options: KeyLoadsOptions<Key>;
  /** By purpose, then fingerprint: the same fingerprint under two purposes is two questions. */
  readonly #flights = new Map<string, Flights<Key>>();
  readonly #gathered = new Map<string, string[]>();

  constructor(options: KeyLoadsOptions<Key>) {
    this.#options = options;
  }

  /** Never rejects. */
  request(purpose: string, fingerprint: string): Promise<Loaded<Key>> {
    return new Promise((resolve) => {
      const flights = this.#flightsOf(purpose);
      const flight = flights.get(fingerprint);
      if (flight !== undefined) {
        flight.waiters.push(resolve);
        return;
      }
      flights.set(fingerprint, { waiters: [resolve], revoked: false });
      this.#gather(purpose, fingerprint);
    });
  }

  /** A key that is on its way was perhaps read before it was revoked; it will not be let in. */
  revoke(fingerprints: readonly string[]): void {
    for (const flights of this.#flights.values()) {
      for (const fingerprint of fingerprints) {
        const flight = flights.get(fingerprint);
        if (flight !== undefined) flight.revoked = true;
      }
    }
  }

  /** Everybody who waits gets `error`; keys that still arrive are wiped. */
  close(error: FieldSealError): void {
    for (const flights of this.#flights.values()) {
      for (const [fingerprint, flight] of [...flights]) this.#land(flights, fingerprint, flight, error);
    }
  }

  #flightsOf(purpose: string): Flights<Key> {
    let flights = this.#flights.get(purpose);
    if (flights === undefined) this.#flights.set(purpose, (flights = new Map<string, Flight<Key>>()));
    return flights;
  }

  #gather(purpose: string, fingerprint: string): void {
    const gathered = this.#gathered.get(purpose);
    if (gathered !== undefined) {
      gathered.push(fingerprint);
      return;
    }
    const fingerprints = [fingerprint];
    this.#gathered.set(purpose, fingerprints);
    queueMicrotask(() => {
      this.#gathered.delete(purpose);
      const waitedFor = fingerprints.filter((one) => this.#flightsOf(purpose).has(one));
      if (waitedFor.length > 0) void this.#load(purpose, waitedFor);
    });
  }

  /** Never rejects: each key has an outcome, if only that the source failed. */
  async #load(purpose: string, fingerprints: readonly string[]): Promise<void> {
    const what = `Keys of purpose ${purpose}`;
    const { clock, load } = this.#options;
    const asked = now(clock);
    let failure: FieldSealError = new KeyError(
      'ERR_KEY_UNAVAILABLE',
      `${what}: expected one outcome per fingerprint of the key source, got fewer.`,
    );
    try {
      const outcomes = await answerOf(clock, what, () => load(purpose, fingerprints), wipeAll);
      for (const outcome of outcomes) this.#take(purpose, outcome, asked);
    } catch (error) {
      failure = outOfReach(what, error);
    }
    for (const fingerprint of fingerprints) this.#refuse(purpose, fingerprint, failure);
  }

  #take(purpose: string, outcome: LoadOutcome, asked: Deadline): void {
    const { fingerprint } = outcome;
    const flight = this.#flightsOf(purpose).get(fingerprint);
    if (flight === undefined || flight.revoked || 'error' in outcome) {
      if ('key' in outcome) refuseKey(outcome.key);
      this.#refuse(
        purpose,
        fingerprint,
        'error' in outcome ? codedError(`Key ${fingerprint}`, outcome.error) : revokedMeanwhile(fingerprint),
      );
      return;
    }
    try {
      assertSame(outcome.key, fingerprint);
      const key = this.#options.admit(purpose, outcome.key, flight.waiters.length, asked);
      this.#land(this.#flightsOf(purpose), fingerprint, flight, key);
      this.#options.settled(key);
    } catch (error) {
      this.#refuse(purpose, fingerprint, codedError(`Key ${fingerprint}`, error));
    }
  }

  #refuse(purpose: string, fingerprint: string, error: FieldSealError): void {
    const flights = this.#flightsOf(purpose);
    const flight = flights.get(fingerprint);
    if (flight === undefined) return;
    this.#options.refused(purpose, fingerprint, error);
    this.#land(flights, fingerprint, flight, error);
  }

  #land(flights: Flights<Key>, fingerprint: string, flight: Flight<Key>, loaded: Loaded<Key>): void {
    flights.delete(fingerprint);
    for (const waiter of flight.waiters) waiter(loaded);
  }
}

function assertSame(unwrapped: UnwrappedKey, fingerprint: string): void {
  if (unwrapped.fingerprint === fingerprint) return;
  refuseKey(unwrapped);
  throw new KeyError(
    'ERR_KEY_COMMITMENT',
    `Key ${fingerprint}: expected the key source to load it, got another key. Do not use this key source.`,
  );
}

function wipeAll(late: readonly LoadOutcome[]): void {
  for (const outcome of late) if ('key' in outcome) refuseKey(outcome.key);
}

function revokedMeanwhile(fingerprint: string): KeyError {
  return new KeyError(
    'ERR_KEY_STATE',
    `Key ${fingerprint} was revoked while it was being loaded; it opens nothing now.`,
  );
}

/** One code for a source that cannot be asked, with its own error as the cause. */
function outOfReach(what: string, error: unknown): FieldSealError {
  const coded = codedError(what, error);
  if (!isFieldSealError(error) || coded.code === 'ERR_KEY_UNAVAILABLE') return coded;
  const message = `${what}: the key source could not be asked (${coded.code}); its error is the cause. ${coded.message}`;
  return new KeyError('ERR_KEY_UNAVAILABLE', message, { cause: coded });
}
