/**
 * What the keys folder needs from outside, as interfaces: a clock, KEKs, a key store, a key source.
 * `kms/` implements {@link KekProvider}, `store/` implements {@link KeyStore}, `service/` implements {@link KeySource}.
 */
import type { Delivery } from '../cell/format.js';
import type { PublicKey } from '../cell/key-pair.js';
import type { FieldSealError } from '../errors.js';
import type { FieldSealEvent } from './events.js';
import type { Policy } from './policy.js';
import type { KeyState } from './states.js';
import type { StoreContext } from './store-contexts.js';

export type { Delivery } from '../cell/format.js';

/** Time, passed in so that tests need no sleeps. */
export interface Clock {
  /** Milliseconds since the epoch; may jump. */
  wall(): number;
  /** Milliseconds since an arbitrary start; never goes back, stands still while the machine sleeps. */
  monotonic(): number;
  /** Runs `task` once after `delayMs`, without keeping the process alive. Returns a function that cancels it. */
  after(delayMs: number, task: () => void): () => void;
}

/** Whole number in [0, below), uniformly random. */
export type RandomBelow = (below: number) => number;

/** The data set a key belongs to. Keys of different scopes share nothing. */
export interface KeyScope {
  /** Owner of the data (hub, acquirer), shared by all its processes. */
  readonly application: string;
  readonly environment: string;
  readonly purpose: string;
}

export type KeyKind = 'data' | 'pair' | 'index' | 'store';

/** Kinds of keys that cells name: data keys of pools, and key pairs. */
export type CellKeyKind = Extract<KeyKind, 'data' | 'pair'>;

/** Encryption context of every KMS call: authenticated, and readable in the KMS's audit log. */
export interface WrapContext extends KeyScope {
  readonly kind: KeyKind;
  readonly delivery: Delivery;
  /** Random UUID chosen before the call, stored with the wrap; joins audit log entries to keys. */
  readonly wrapId: string;
}

/** A DEK root under one KEK. */
export interface Wrap {
  /** Name of the KEK: its ARN, or `local:` and its id. Only ever a look-up into the configured KEKs. */
  readonly kek: string;
  /** Which material of the KEK was used, where the KMS says so. Information, never trusted. */
  readonly keyMaterialId: string | null;
  readonly wrapId: string;
  readonly wrapped: Buffer;
  readonly created: Date;
}

/** A fresh root with its wrap. The receiver owns `root` and wipes it. */
export interface GeneratedRoot {
  /** 32 bytes, secret. */
  readonly root: Buffer;
  readonly wrap: Wrap;
}

/** A fresh data key for cells that carry its wrap. The receiver owns `root` and wipes it. */
export interface EnvelopeRoot {
  /** 32 bytes, secret. */
  readonly root: Buffer;
  /** Name of the KEK: its ARN, or `local:` and its id. */
  readonly kek: string;
  /** At most 6,144 bytes. */
  readonly wrapped: Buffer;
}

/** A key pair whose private half comes wrapped. */
export interface GeneratedPair {
  /** SPKI DER, P-256, 91 bytes. */
  readonly publicKey: Buffer;
  /** Of the private key's PKCS #8 DER. */
  readonly wrap: Wrap;
}

/** Something that the credentials of this process were not refused. */
export interface Privilege {
  readonly kek: string;
  readonly operation: 'Decrypt' | 'ReEncrypt' | 'CreateGrant';
  /** Of Decrypt, the kind and delivery that it was asked for, where that is not an envelope cell's. */
  readonly context?: StoreContext;
  /** `'allowed'`, or the name of the exception or network fault that left the question open. */
  readonly answer: string;
}

/**
 * KEKs in a KMS, an HSM or, second best, files. Safe to call concurrently. Every error is a KmsError; a KEK outside the
 * configuration of its purpose is refused before any call (`ERR_KMS_KEK_NOT_CONFIGURED`).
 */
export interface KekProvider {
  /**
   * Resolves the configured KEKs to the names that stand in wraps. Called once, before anything else.
   * @throws KmsError, ConfigError `ERR_CONFIG_OPTION` when a purpose has no KEK.
   */
  start(purposes: readonly string[], emit: (event: FieldSealEvent) => void): Promise<void>;
  /**
   * Instead of `start`, for a process that only makes envelope keys and may do nothing else in the KMS: the KEKs have
   * the names that it answers with when one data key is made under each; those keys are wiped. Afterwards `keks`,
   * `openKeks` (none), `generateEnvelope` and `notDenied` work; everything else is `ERR_KMS_WRITE_ONLY`, without a call.
   * @throws as `start`.
   */
  startWriteOnly(scopes: readonly KeyScope[], emit: (event: FieldSealEvent) => void): Promise<void>;
  /**
   * Instead of `start`, for a process that only opens: KEKs that are configured by the names that stand in wraps (ARNs)
   * are taken as they are, so that nothing but Decrypt is needed; other names are resolved. Afterwards `keks` gives none.
   * @throws as `start`.
   */
  startReadOnly(purposes: readonly string[], emit: (event: FieldSealEvent) => void): Promise<void>;
  /**
   * Names of the KEKs that may wrap new keys of the purpose, without those that did not answer lately while others do; at
   * least one, unless started read-only.
   */
  keks(purpose: string): readonly string[];
  /** Configured names of KEKs of the purpose that have not answered yet. Absent where there can be none. */
  missingKeks?(purpose: string): readonly string[];
  /**
   * Names, as they stand in wraps, of KEKs that may unwrap and did not answer lately, while others did; none where all are
   * silent. Who has a choice unwraps under the others. Absent where there can be none.
   */
  silentKeks?(purpose: string): readonly string[];
  /** Names of the KEKs that may unwrap: those of `keks` and the retired ones. */
  openKeks(purpose: string): readonly string[];
  /** Makes a root under one KEK. One KMS call, retried where a retry can help. */
  generate(kek: string, context: WrapContext): Promise<GeneratedRoot>;
  /**
   * Opens the first wrap that can be opened; the receiver owns the 32 bytes and wipes them.
   * Tries the next wrap where the KEK of one is unusable. One KEK outside the configuration refuses all.
   */
  unwrap(wraps: readonly Wrap[], context: Omit<WrapContext, 'wrapId'>): Promise<Buffer>;
  /**
   * Makes a data key whose wrap goes into cells. Bound to the scope, kind `data` and delivery `envelope`, without a
   * wrapId: no such wrap opens as one of a key store, nor the other way round. One KMS call, retried as `generate`.
   */
  generateEnvelope(kek: string, scope: KeyScope): Promise<EnvelopeRoot>;
  /** Opens the wrap of a cell; the receiver owns the 32 bytes and wipes them. One KMS call, bounded like `unwrap`. */
  unwrapEnvelope(kek: string, wrapped: Uint8Array, scope: KeyScope): Promise<Buffer>;
  /**
   * Makes a P-256 pair under one KEK, for a context of kind `pair`. A KMS never shows the private half; where the KEK
   * is in this process, it is here in the clear until it is wrapped. One KMS call, retried as `generate`.
   */
  generatePair(kek: string, context: WrapContext): Promise<GeneratedPair>;
  /** Opens the wrap of a private key as `unwrap` does a root's: PKCS #8 DER, at most 256 bytes, the receiver's to wipe. */
  unwrapPair(wraps: readonly Wrap[], context: Omit<WrapContext, 'wrapId'>): Promise<Buffer>;
  /**
   * HMAC-SHA-256 of 1 to 4,096 bytes under the MAC key of the purpose and index version; 32 bytes. Works however it was
   * started. One KMS call, retried as `generate`. Absent where there are no MAC keys.
   * @throws KmsError; ConfigError `ERR_CONFIG_OPTION` for a purpose or version without one.
   */
  mac?(purpose: string, version: number, message: Uint8Array): Promise<Buffer>;
  /** Whether `mac` would find a key in its own configuration; absent where nobody knows before it is asked. */
  hasMacKey?(purpose: string, version: number): boolean;
  /**
   * What the credentials of this process might do besides making envelope keys: for each KEK of `keks`, whether they
   * may open its wraps (Decrypt) or move them (ReEncrypt, to the same KEK). Asked with DryRun about a data key made for
   * the question; three calls per KEK. Empty when every question was answered with a denial, which raises no alarm;
   * every other answer is listed. With `stored`, also Decrypt under each of these contexts of a key store, and CreateGrant,
   * by which a process could let itself or others in: one call more per KEK and question. What it cannot see: PutKeyPolicy,
   * which has no dry run, CreateGrant for other operations than Decrypt, rights on contexts that are not asked for,
   * ReEncrypt to other KEKs, and rights that are given later.
   * @throws KmsError when the data key cannot be made.
   */
  notDenied(scope: KeyScope, stored?: readonly StoreContext[]): Promise<readonly Privilege[]>;
  /** KMS calls made so far per operation, retries and dry runs included. */
  calls(): Readonly<Record<string, number>>;
  /** Ends calls under way; afterwards everything but `calls` and `close` is `ERR_KMS_UNAVAILABLE`. */
  close(): Promise<void>;
}

/** A row of the key store with its wraps. */
export interface KeyRecord extends KeyScope {
  readonly fingerprint: string;
  readonly kind: KeyKind;
  /** Version of an index key; 0 for other kinds. */
  readonly version: number;
  readonly state: KeyState;
  /** The state that SUSPENDED returns to. */
  readonly stateBefore: KeyState | null;
  /** 32 bytes derived one-way from the root, of a pair from its public half; compared after every unwrap. */
  readonly commitment: Buffer;
  /** SPKI DER of a pair; null for other kinds. */
  readonly publicKey: Buffer | null;
  readonly created: Date;
  readonly activates: Date | null;
  readonly retires: Date | null;
  readonly destroysAfter: Date | null;
  /** Cells sealed so far, as reported by processes. */
  readonly cells: number;
  /** Plaintext bytes sealed so far, as reported by processes. */
  readonly bytes: number;
  /** Nonce prefixes handed out (suite 2 only). */
  readonly prefixes: number;
  /** Counts the changes of this row, from 1. */
  readonly revision: number;
  /** HMAC-SHA-256 of all the above and the wraps, under the store key of the scope. */
  readonly rowMac: Buffer;
  readonly wraps: readonly Wrap[];
}

/** One move of one key. Events of a scope form a hash chain. */
export interface KeyEvent extends KeyScope {
  /** 1, 2, 3, … within the scope. */
  readonly seq: number;
  readonly at: Date;
  readonly who: string;
  readonly fingerprint: string;
  readonly from: KeyState | null;
  readonly to: KeyState;
  readonly why: string;
  /** Hash of the event before; 32 zero bytes in the first. */
  readonly previous: Buffer;
  readonly hash: Buffer;
  /** HMAC-SHA-256 of `hash` under the store key. */
  readonly mac: Buffer;
}

export interface KeyFilter {
  readonly kinds?: readonly KeyKind[];
  readonly states?: readonly KeyState[];
}

/** Reading half of a key store. */
export interface KeyReader {
  /** All keys of the scope that pass the filter, with their wraps, by `created` then fingerprint. One query. */
  list(scope: KeyScope, filter?: KeyFilter): Promise<KeyRecord[]>;
  /** The keys with these fingerprints in the scope, in any order; unknown ones are left out. One query for any number. */
  find(scope: KeyScope, fingerprints: readonly string[]): Promise<KeyRecord[]>;
  /** The events of the scope from `fromSeq` (default 1) on, in order. */
  events(scope: KeyScope, fromSeq?: number): Promise<KeyEvent[]>;
  /** The newest event of the scope. */
  lastEvent(scope: KeyScope): Promise<KeyEvent | undefined>;
  /**
   * What the clock of the database says now, ms since the epoch: the one clock that all processes share, against which
   * each holds its own. Undefined where the store has no clock but that of this machine. One query.
   */
  now(): Promise<number | undefined>;
}

/** What is stored at one moment. */
export interface KeyMoment extends KeyReader {
  /** Whether it comes from a copy that only reads and may lie behind, such as a hot standby. */
  readonly mayLag: boolean;
}

/** What a process does with a key store: makes and moves keys in it, or reads them. */
export type KeyStoreUse = 'manage' | 'read';

/** A key store under the lock of one scope: everything written becomes visible together, or not at all. */
export interface LockedKeyStore extends KeyReader {
  /** False when a key with this fingerprint, or an index or store key of this version, exists already. */
  insert(record: KeyRecord): Promise<boolean>;
  /**
   * Writes every mutable column; false when the stored revision is not `record.revision - 1` or the stored state is not
   * `from`: somebody who stops a key by hand changes its state alone, and without the lock. Wraps are not changed.
   */
  update(record: KeyRecord, from: KeyState): Promise<boolean>;
  append(events: readonly KeyEvent[]): Promise<void>;
}

/** Whether what a store tells of revoked keys comes through. */
export type ChannelState =
  | { readonly delivers: true }
  | {
      readonly delivers: false;
      /** Whether it cannot be otherwise where the process is connected to: nothing that anybody did wrong. */
      readonly expected: boolean;
      /** A clause for people, with what to do. */
      readonly reason: string;
      /** How often `'unknown'` is told instead, ms. */
      readonly pollEveryMs: number;
    };

/**
 * Wrapped DEKs and their states. Stores bytes and knows no key: row MACs and the event chain are made and checked by
 * the key source. Every error is a StoreError.
 */
export interface KeyStore extends KeyReader {
  /**
   * @param use What the process is going to do. A store may open fewer connections for one that only reads, and refuses
   * `'manage'` to a role that may only read. Left out: nothing is checked, and there are connections for everything.
   * @throws StoreError `ERR_STORE_NOT_MIGRATED` (names the command), `ERR_STORE_UNAVAILABLE`, `ERR_STORE_DENIED`.
   */
  start(use?: KeyStoreUse): Promise<void>;
  /**
   * Runs `work` on what is stored at one moment, no older than the call unless it `mayLag`: everything that was written
   * under one lock, or nothing of it. Takes no lock, so that it works where nothing can be written.
   */
  atOneMoment<T>(work: (moment: KeyMoment) => Promise<T>): Promise<T>;
  /** Runs `work` as the only one with this scope, among all processes, in one transaction; a throw rolls back. */
  withLock<T>(scope: KeyScope, work: (locked: LockedKeyStore) => Promise<T>): Promise<T>;
  /**
   * Tells of keys that moved to SUSPENDED, COMPROMISED or DESTROYED, soon after the move; `'unknown'` says that
   * messages may have been lost and states must be looked up. Absent where the store has no such channel.
   * @param onChannel Told when the channel is found to deliver nothing, and when it does again; not at the start of one
   * that delivers. While it does not, the listener is told `'unknown'` again and again.
   */
  watch?(
    listener: (fingerprints: readonly string[] | 'unknown') => void,
    onChannel?: (state: ChannelState) => void,
  ): Promise<() => Promise<void>>;
  /**
   * Resolves within 5 seconds, also where the other end is frozen.
   * @param onCutOff Told what did not end in order and was cut off: a phrase for people.
   */
  close(onCutOff?: (what: string) => void): Promise<void>;
}

/** An unwrapped key on its way to the keyring. The receiver owns `root` and wipes it. */
export interface UnwrappedKey {
  readonly fingerprint: string;
  readonly commitment: Buffer;
  /** Version of an index key; 0 for others. */
  readonly version: number;
  /** Secret: 32 bytes, or of a pair the private half as PKCS #8 DER. */
  readonly root: Buffer;
}

/** The public half of a pair that may seal now. */
export interface HandedOutPublicKey {
  /** SPKI DER. Whoever takes it computes its fingerprint. */
  readonly spki: Buffer;
  /** The key of these bytes where the source had to parse it for this owner already, which takes 0.16 ms. */
  readonly parsed?: PublicKey;
  /** Wall clock, ms: no process seals with this hand-out after it. */
  readonly sealUntil: number;
}

export interface HandedOutKey extends UnwrappedKey {
  /** Wall clock, ms: when the key leaves ENCRYPT. */
  readonly retires: number;
  /** Wall clock, ms: no process seals with this hand-out after it. */
  readonly sealUntil: number;
}

export type LoadOutcome =
  | { readonly fingerprint: string; readonly key: UnwrappedKey }
  | { readonly fingerprint: string; readonly error: FieldSealError };

/** What a process sealed under one key since its last report. */
export interface KeyUsage {
  readonly fingerprint: string;
  readonly cells: number;
  readonly bytes: number;
}

/** What a field seal may do. */
export type Access = 'read-write' | 'write-only' | 'read-only';

/** A fresh data key on its way to envelope cells. The receiver owns `root` and wipes it. */
export interface EnvelopeKey {
  /** 32 bytes, secret. */
  readonly root: Buffer;
  /** What stands in the cells: 8 bytes that name the KEK, and the wrapped root. */
  readonly kekRef: Buffer;
  readonly wrapped: Buffer;
}

/** What a field seal gives its key source at start. */
export interface SourceContext {
  readonly application: string;
  readonly environment: string;
  /** A source that cannot do with less than opening refuses `'write-only'`. */
  readonly access: Access;
  readonly policies: ReadonlyMap<string, Policy>;
  readonly clock: Clock;
  readonly randomBelow: RandomBelow;
  emit(event: FieldSealEvent): void;
  /** Drops keys from the keyring and the pools at once. */
  revoke(fingerprints: readonly string[]): void;
  /** Fingerprints of all keys that this process holds of the purpose, for a source that must look their states up. */
  held(purpose: string): readonly string[];
}

/**
 * Where a process gets its keys: in-process from a key store, from a KMS alone, or from lists of public keys. A source
 * without a key store refuses at start the purposes whose keys it cannot have, and has no index keys.
 */
export interface KeySource {
  start(context: SourceContext): Promise<void>;
  /**
   * Keys that may seal now, none of `exhausted` (default: none): the caller has brought those to `maxCells` or `maxBytes`
   * alone. `usage` is added to the counters of the keys; on a throw the caller reports it again.
   */
  handOut(
    purpose: string,
    usage: readonly KeyUsage[],
    exhausted?: readonly string[],
  ): Promise<readonly HandedOutKey[]>;
  /**
   * The public keys that may seal now, for purposes of sealed delivery. Whatever the source lives from, it answers for
   * them: to a key of somebody else this process would seal as well.
   */
  publicKeys(purpose: string): Promise<readonly HandedOutPublicKey[]>;
  /**
   * One outcome per fingerprint; a key of another kind than the one asked for (default `'data'`) is not found. Throws only
   * when the source itself is out of reach.
   */
  load(purpose: string, fingerprints: readonly string[], kind?: CellKeyKind): Promise<readonly LoadOutcome[]>;
  /** The index keys of the policy's versions, in that order; undefined from a source without a key store. */
  indexKeys(purpose: string): Promise<readonly UnwrappedKey[] | undefined>;
  /** A data key that nobody has sealed with. One KMS call. */
  makeEnvelopeKey(purpose: string): Promise<EnvelopeKey>;
  /**
   * The root in the header of an envelope cell; the receiver wipes it. One KMS call, none for a KEK that is not
   * configured. Nobody has authenticated what is asked for.
   */
  openEnvelopeKey(purpose: string, kekRef: Uint8Array, wrapped: Uint8Array): Promise<Buffer>;
  /**
   * HMAC-SHA-256 under the MAC key of the purpose and index version, for blind indexes that the KMS makes. One KMS call.
   * @throws KmsError; ConfigError `ERR_CONFIG_OPTION` where there is no such key.
   */
  mac(purpose: string, version: number, message: Uint8Array): Promise<Buffer>;
  /** Whether `mac` can be asked for this key; absent where nobody knows. No KMS call. */
  hasMacKey?(purpose: string, version: number): boolean;
  /** What these credentials could do at the KMS that a write-only process must not do; empty when all is denied. */
  notDenied(purpose: string): Promise<readonly Privilege[]>;
  /** KMS calls made by this source so far, per operation. */
  kmsCalls(): Readonly<Record<string, number>>;
  /** Given up after 5 seconds; what has to be cut off is told as a `warning`. */
  close(): Promise<void>;
}
