/**
 * Makes keys and proves them. A root lives only from the KMS's answer to the derivation of what names the key; the private
 * half of a pair is not seen when it is made.
 */
import { randomUUID, timingSafeEqual } from 'node:crypto';
import { DataKey } from '../cell/data-key.js';
import { IndexKey } from '../cell/index-key.js';
import { PrivateKey, PublicKey } from '../cell/key-pair.js';
import { StoreKey } from '../cell/store-key.js';
import { KeyError } from '../errors.js';
import type { KekProvider, KeyKind, KeyRecord, KeyScope } from '../keys/ports.js';
import type { KeyState } from '../keys/states.js';
import type { NewRow } from './locked-rows.js';

interface DerivedKey {
  readonly fingerprint: string;
  readonly commitment: Buffer;
  close(): void;
}

interface NewKey<Key extends DerivedKey> {
  readonly key: Key;
  readonly row: NewRow;
}

/** Keys that cells name are made ahead, the others serve from the start. */
const BIRTH: Readonly<Record<KeyKind, KeyState>> = {
  data: 'FUTURE',
  pair: 'FUTURE',
  index: 'ENCRYPT',
  store: 'ENCRYPT',
};

/** Makes a FUTURE key. One KMS call. @throws KmsError. */
export type MakeAhead = (kms: KekProvider, kek: string, scope: KeyScope, created: Date) => Promise<NewRow>;

/** Takes what was unwrapped over and wipes it, also when it throws. */
type Derive<Key extends DerivedKey> = (unwrapped: Buffer, scope: KeyScope, version: number) => Key;

const DERIVE: Readonly<Record<KeyKind, Derive<DerivedKey>>> = {
  data: (root, scope) => DataKey.derive(root, scope),
  index: (root, scope, version) => IndexKey.derive(root, scope, version),
  store: (root, scope) => StoreKey.derive(root, scope),
  pair: (pkcs8, scope) => PrivateKey.parse(pkcs8, scope),
};

/** A new FUTURE data key. One KMS call. @throws KmsError. */
export async function makeDataKey(
  kms: KekProvider,
  kek: string,
  scope: KeyScope,
  created: Date,
): Promise<NewRow> {
  return nameOnly(await make(kms, kek, scope, 'data', 0, created, DERIVE.data));
}

/** A new FUTURE key pair. One KMS call. @throws KmsError. */
export async function makePair(
  kms: KekProvider,
  kek: string,
  scope: KeyScope,
  created: Date,
): Promise<NewRow> {
  const context = { ...scope, kind: 'pair', delivery: 'sealed', wrapId: randomUUID() } as const;
  const { publicKey, wrap } = await kms.generatePair(kek, context);
  const { fingerprint, commitment, spki } = PublicKey.parse(publicKey, scope);
  return { ...newRow(scope, { fingerprint, commitment }, 'pair', created), publicKey: spki, wraps: [wrap] };
}

/** A new index key; it serves from the start. One KMS call. @throws KmsError. */
export async function makeIndexKey(
  kms: KekProvider,
  kek: string,
  scope: KeyScope,
  version: number,
  created: Date,
): Promise<NewRow> {
  return nameOnly(await make(kms, kek, scope, 'index', version, created, DERIVE.index));
}

/** A new store key; the caller closes it. One KMS call. @throws KmsError. */
export function makeStoreKey(
  kms: KekProvider,
  kek: string,
  scope: KeyScope,
  created: Date,
): Promise<NewKey<StoreKey>> {
  return make(kms, kek, scope, 'store', 0, created, (root) => StoreKey.derive(root, scope));
}

/**
 * The root of a stored key, or the private half of a stored pair; the receiver wipes it. One KMS call, none when the KEK is
 * not configured. @throws KmsError.
 */
export function unwrapRoot(kms: KekProvider, row: KeyRecord): Promise<Buffer> {
  const { application, environment, purpose, kind, wraps } = row;
  const scope = { application, environment, purpose };
  return kind === 'pair'
    ? kms.unwrapPair(wraps, { ...scope, kind, delivery: 'sealed' })
    : kms.unwrap(wraps, { ...scope, kind, delivery: 'pool' });
}

/**
 * Unwraps the key once and compares it with its row. One KMS call.
 * @throws KmsError; KeyError `ERR_KEY_COMMITMENT` when the wrap holds another key.
 */
export async function proveKey(kms: KekProvider, row: KeyRecord): Promise<void> {
  (await unwrapKey(kms, row, DERIVE[row.kind])).close();
}

/** Unwraps the store key; the caller closes it. @throws as {@link proveKey}. */
export function unwrapStoreKey(kms: KekProvider, row: KeyRecord): Promise<StoreKey> {
  return unwrapKey(kms, row, (root, scope) => StoreKey.derive(root, scope));
}

async function make<Key extends DerivedKey>(
  kms: KekProvider,
  kek: string,
  scope: KeyScope,
  kind: Exclude<KeyKind, 'pair'>,
  version: number,
  created: Date,
  derive: Derive<Key>,
): Promise<NewKey<Key>> {
  const wrapId = randomUUID();
  const { root, wrap } = await kms.generate(kek, { ...scope, kind, delivery: 'pool', wrapId });
  const key = derive(root, scope, version);
  return { key, row: { ...newRow(scope, key, kind, created), version, wraps: [wrap] } };
}

function newRow(
  scope: KeyScope,
  { fingerprint, commitment }: Pick<DerivedKey, 'fingerprint' | 'commitment'>,
  kind: KeyKind,
  created: Date,
): Omit<NewRow, 'wraps'> {
  const names = {
    ...scope,
    fingerprint,
    commitment: Buffer.from(commitment),
    publicKey: null,
    kind,
    version: 0,
  };
  const dates = { created, activates: null, retires: null, destroysAfter: null };
  const counters = { cells: 0, bytes: 0, prefixes: 0 };
  return { ...names, ...dates, ...counters, state: BIRTH[kind], stateBefore: null };
}

async function unwrapKey<Key extends DerivedKey>(
  kms: KekProvider,
  row: KeyRecord,
  derive: Derive<Key>,
): Promise<Key> {
  const key = derive(await unwrapRoot(kms, row), row, row.version);
  if (key.fingerprint === row.fingerprint && sameCommitment(key.commitment, row.commitment)) return key;
  key.close();
  throw new KeyError(
    'ERR_KEY_COMMITMENT',
    `Key ${row.fingerprint}: its wrap holds another key than its row names; the key is not used. Put the row and its wraps back from a backup of the key store.`,
  );
}

function nameOnly({ key, row }: NewKey<DerivedKey>): NewRow {
  key.close();
  return row;
}

function sameCommitment(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
