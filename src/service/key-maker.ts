/** Makes keys and proves them. A root lives only from the KMS's answer to the derivation of what names the key. */
import { randomUUID, timingSafeEqual } from 'node:crypto';
import { DataKey } from '../cell/data-key.js';
import { IndexKey } from '../cell/index-key.js';
import { StoreKey } from '../cell/store-key.js';
import { KeyError } from '../errors.js';
import type { KekProvider, KeyKind, KeyRecord, KeyScope } from '../keys/ports.js';
import type { NewRow } from './locked-rows.js';

/** Kinds of keys that are made here; key pairs belong to sealed delivery. */
export type MadeKind = Exclude<KeyKind, 'pair'>;

interface DerivedKey {
  readonly fingerprint: string;
  readonly commitment: Buffer;
  close(): void;
}

interface NewKey<Key extends DerivedKey> {
  readonly key: Key;
  readonly row: NewRow;
}

/** Takes the root over and wipes it, also when it throws. */
type Derive<Key extends DerivedKey> = (root: Buffer, scope: KeyScope, version: number) => Key;

const DERIVE: Readonly<Record<MadeKind, Derive<DerivedKey>>> = {
  data: (root, scope) => DataKey.derive(root, scope),
  index: (root, scope, version) => IndexKey.derive(root, scope, version),
  store: (root, scope) => StoreKey.derive(root, scope),
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

/** The root of a stored key; the receiver wipes it. One KMS call, none when the KEK is not configured. @throws KmsError. */
export function unwrapRoot(kms: KekProvider, row: KeyRecord): Promise<Buffer> {
  const { application, environment, purpose, kind, wraps } = row;
  return kms.unwrap(wraps, { application, environment, purpose, kind, delivery: 'pool' });
}

/**
 * Unwraps the key once and compares it with its row. One KMS call.
 * @throws KmsError; KeyError `ERR_KEY_COMMITMENT` when the wrap holds another key.
 */
export async function proveKey(
  kms: KekProvider,
  row: KeyRecord & { readonly kind: MadeKind },
): Promise<void> {
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
  kind: MadeKind,
  version: number,
  created: Date,
  derive: Derive<Key>,
): Promise<NewKey<Key>> {
  const wrapId = randomUUID();
  const { root, wrap } = await kms.generate(kek, { ...scope, kind, delivery: 'pool', wrapId });
  const key = derive(root, scope, version);
  const { fingerprint, commitment } = key;
  const names = { ...scope, fingerprint, commitment: Buffer.from(commitment), kind, version };
  const state = kind === 'data' ? 'FUTURE' : 'ENCRYPT';
  const dates = { created, activates: null, retires: null, destroysAfter: null };
  const counters = { cells: 0, bytes: 0, prefixes: 0 };
  return {
    key,
    row: { ...names, ...dates, ...counters, state, stateBefore: null, publicKey: null, wraps: [wrap] },
  };
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
