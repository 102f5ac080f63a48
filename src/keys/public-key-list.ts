/**
 * Public keys on their way to processes that only seal: a list that its owner has signed with Ed25519 (RFC 8032), so that
 * it can come from a file, a table or a server alike. Whoever could put a key of his own into it could read what is sealed
 * from then on.
 */
import { type KeyObject, sign, verify } from 'node:crypto';
import { PublicKey } from '../cell/key-pair.js';
import { isFieldSealError, KeyError } from '../errors.js';
import {
  contextName,
  describeValue,
  listOf,
  oneOf,
  optionError,
  type OptionRule,
  type OptionTable,
  type ParsedOptions,
  parseOptions,
  text,
  wholeNumber,
} from './options.js';
import type { KeyScope } from './ports.js';
import { eachInSlices } from './slices.js';

/** One public key of a list. */
export interface ListedKey {
  readonly key: PublicKey;
  /** Wall clock, ms: nobody seals under it from then on. */
  readonly sealUntil: number;
}

/** What the owner of a purpose says of its public keys. Times are wall clock, ms. */
export interface PublicKeyList extends KeyScope {
  /** Grows with every list of the scope. */
  readonly serial: number;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly keys: readonly ListedKey[];
}

/** Before what is signed: a signature over anything else says nothing here. */
const SIGNED_PREFIX = Buffer.from('fieldseal/v1/public-keys\n');
const FORM = 'public-keys/v1';
/** In characters: some thousand keys. */
const MAX_LENGTH = 1024 * 1024;

const bytes: OptionRule<Buffer> = (value, path) =>
  Buffer.from(text('bytes as base64url', (given) => /^[\w-]+$/u.test(given))(value, path), 'base64url');
const time = wholeNumber(0, Number.MAX_SAFE_INTEGER);

const SIGNED = { fieldseal: oneOf([FORM]), list: bytes, signature: bytes };

const LISTED_KEY = { spki: bytes, sealUntil: time };
/** Each key is read in its turn: all of them at once would block the event loop. */
const unread: OptionRule<unknown> = (value) => value;

const LIST = {
  application: contextName(),
  environment: contextName(),
  purpose: contextName(),
  serial: wholeNumber(1, Number.MAX_SAFE_INTEGER),
  notBefore: time,
  notAfter: time,
  keys: listOf(unread, 1),
};

/**
 * The list as text.
 * @param signingKey Ed25519, private.
 * @throws ConfigError `ERR_CONFIG_OPTION` for a key of another kind.
 */
export function signPublicKeys({ keys, ...rest }: PublicKeyList, signingKey: KeyObject): string {
  checkEd25519(signingKey, 'private', 'signingKey');
  const listed = keys.map(({ key, sealUntil }) => ({ spki: key.spki.toString('base64url'), sealUntil }));
  const list = Buffer.from(JSON.stringify({ ...rest, keys: listed }));
  const signature = sign(null, Buffer.concat([SIGNED_PREFIX, list]), signingKey);
  return JSON.stringify({
    fieldseal: FORM,
    list: list.toString('base64url'),
    signature: signature.toString('base64url'),
  });
}

/** Takes one list of a scope after another, and none that is older than the one before. */
export class PublicKeyLists {
  readonly #scope: KeyScope;
  readonly #verificationKey: KeyObject;
  #newest: { readonly serial: number; readonly text: string } | undefined;

  /**
   * @param verificationKey Ed25519, public, from the configuration: never from where the lists come from.
   * @throws ConfigError `ERR_CONFIG_OPTION` for a key of another kind.
   */
  constructor(scope: KeyScope, verificationKey: KeyObject) {
    checkEd25519(verificationKey, 'public', 'verificationKey');
    this.#scope = scope;
    this.#verificationKey = verificationKey;
  }

  /**
   * The list in this text, once everything about it is right. About 0.16 ms of the processor for each key, in slices
   * between which the event loop turns. Where two are taken at once, the newest stays.
   * @param now Wall clock, ms.
   * @throws KeyError `ERR_KEY_LIST_REFUSED`: nothing of the text was used, and the list before is still the newest.
   */
  async take(signedText: string, now: number): Promise<PublicKeyList> {
    const list = this.#verified(signedText);
    this.#refuseOthers(list);
    if (now < list.notBefore || now >= list.notAfter)
      throw this.#refused('a list that is valid now', `one that is valid ${period(list)}`);
    this.#refuseOlder(list.serial, signedText);
    const keys: ListedKey[] = [];
    await eachInSlices(list.keys, (key) => void keys.push(this.#listedKey(key, keys.length)));
    // A newer one may have been taken between two slices.
    this.#refuseOlder(list.serial, signedText);
    this.#newest = { serial: list.serial, text: signedText };
    return { ...list, keys };
  }

  /** What is signed is looked at only once the signature is right. */
  #verified(signedText: string): ParsedOptions<typeof LIST> {
    // It comes from a function of the application.
    if (typeof signedText !== 'string') throw this.#refused('text', describeValue(signedText));
    if (signedText.length > MAX_LENGTH)
      throw this.#refused(`at most ${MAX_LENGTH} characters`, String(signedText.length));
    const { list, signature } = this.#parsed(SIGNED, signedText);
    if (!verify(null, Buffer.concat([SIGNED_PREFIX, list]), this.#verificationKey, signature))
      throw this.#refused('a list that the pinned verification key has signed', 'another signature');
    return this.#parsed(LIST, list.toString('utf8'));
  }

  #parsed<Table extends OptionTable>(table: Table, json: string): ParsedOptions<Table> {
    let value: unknown;
    try {
      value = JSON.parse(json);
    } catch {
      // What JSON.parse says quotes the text.
      throw this.#refused(`JSON of the form ${FORM}`, `${json.length} characters of another`);
    }
    return this.#ofForm(table, value, 'list');
  }

  #ofForm<Table extends OptionTable>(table: Table, value: unknown, path: string): ParsedOptions<Table> {
    try {
      return parseOptions(table, value, path);
    } catch (cause) {
      if (!isFieldSealError(cause)) throw cause;
      throw this.#refused(`JSON of the form ${FORM}`, `another: ${cause.message}`);
    }
  }

  #refuseOthers(list: KeyScope): void {
    for (const member of ['application', 'environment', 'purpose'] as const)
      if (list[member] !== this.#scope[member])
        throw this.#refused(`a list of this ${member}`, `one of another`);
  }

  /** A list of the same serial may come again, but not with other words. */
  #refuseOlder(serial: number, signedText: string): void {
    const newest = this.#newest;
    if (
      newest === undefined ||
      serial > newest.serial ||
      (serial === newest.serial && signedText === newest.text)
    )
      return;
    throw this.#refused(
      `a list with a serial above ${newest.serial}, which was taken before`,
      serial === newest.serial ? 'another list with that serial' : `serial ${serial}`,
    );
  }

  #listedKey(value: unknown, at: number): ListedKey {
    const { spki, sealUntil } = this.#ofForm(LISTED_KEY, value, `list.keys[${at}]`);
    try {
      return { key: PublicKey.parse(spki, this.#scope), sealUntil };
    } catch (cause) {
      throw this.#refused('P-256 keys only', `${spki.length} bytes of another`, cause);
    }
  }

  #refused(expected: string, got: string, cause?: unknown): KeyError {
    const { application, environment, purpose } = this.#scope;
    return new KeyError(
      'ERR_KEY_LIST_REFUSED',
      `Public keys of ${application}/${environment}/${purpose}: expected ${expected}, got ${got}; nothing is sealed under ` +
        'it. Fetch the list anew from the key service, and find out who wrote this one.',
      cause === undefined ? undefined : { cause },
    );
  }
}

function checkEd25519(key: KeyObject, half: 'public' | 'private', path: string): void {
  const { type, asymmetricKeyType = 'no' } = key;
  if (type !== half || asymmetricKeyType !== 'ed25519')
    throw optionError(path, `a ${half} Ed25519 key`, `a ${type} ${asymmetricKeyType} key`);
}

function period({ notBefore, notAfter }: { readonly notBefore: number; readonly notAfter: number }): string {
  return `from ${iso(notBefore)} to ${iso(notAfter)}`;
}

/** A time beyond what a Date holds is not thrown over. */
function iso(time: number): string {
  const date = new Date(time);
  return Number.isNaN(date.valueOf()) ? `${time} ms` : date.toISOString();
}
