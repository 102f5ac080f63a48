/** KEKs in files of this machine: for those without a KMS, and second best to one. */
import type { KmsError } from '../../errors.js';
import type { FieldSealEvent } from '../../keys/events.js';
import type {
  EnvelopeRoot,
  GeneratedPair,
  GeneratedRoot,
  KekProvider,
  KeyScope,
  Privilege,
  Wrap,
  WrapContext,
} from '../../keys/ports.js';
import { envelopeContext } from '../wrap-context.js';
import type { BoundContext } from '../wrap-context.js';
import { PAIR_FORM, ROOT_FORM } from './key-forms.js';
import type { KeyForm } from './key-forms.js';
import { closed, missingKek, noKek, notConfigured, noWrap, refused, writeOnly } from './local-errors.js';
import { isLocalKekName } from './local-kek.js';
import type { LocalKek } from './local-kek.js';
import { parseLocalKeksOptions } from './local-options.js';
import type { LocalKeksOptions, LocalKeksSettings } from './local-options.js';
import { readPurposeKeks, readReadOnlyKeks, readWriteOnlyKeks } from './purpose-keks.js';
import type { PurposeKeks } from './purpose-keks.js';

export type { LocalKeksOptions } from './local-options.js';

/**
 * KEKs in key files, for `keyStoreSource({ kms })`; `fieldseal local-kek create` makes such files. **Second best to a
 * KMS**: whoever reads a key file and the key store reads every value of the purpose, and nothing logs, limits or revokes
 * it. A lost key file is lost data.
 *
 * The files are read by `start` and never again: a new or replaced one needs a restart. Each must be a regular file of
 * the process's user or of root, without any access for group and others, in a folder that only these two may write in.
 * Refused on Windows. No network; a wrap or unwrap takes some 40 microseconds of the event loop.
 *
 * No write-only process is one in truth here: whoever holds the file can unwrap, and `notDenied` says so. `calls()`
 * counts under the names that the same work has in AWS KMS.
 * @throws ConfigError `ERR_CONFIG_OPTION`; `start` also `ERR_CONFIG_KEK_FILE`, and KmsError `ERR_KMS_KEK_UNUSABLE` for a
 *   file of `keks` that is missing.
 */
export function localKeks(options: LocalKeksOptions): KekProvider {
  return new LocalKeks(parseLocalKeksOptions(options));
}

class LocalKeks implements KekProvider {
  readonly #settings: LocalKeksSettings;
  readonly #keks = new Map<string, PurposeKeks>();
  readonly #counts = new Map<string, number>();
  #emit: (event: FieldSealEvent) => void = () => undefined;
  #writeOnly = false;
  #closed = false;

  constructor(settings: LocalKeksSettings) {
    this.#settings = settings;
  }

  start(purposes: readonly string[], emit: (event: FieldSealEvent) => void): Promise<void> {
    return this.#start(purposes, emit, (purpose) => readPurposeKeks(this.#settings, purpose, emit));
  }

  startWriteOnly(scopes: readonly KeyScope[], emit: (event: FieldSealEvent) => void): Promise<void> {
    this.#writeOnly = true;
    const purposes = scopes.map(({ purpose }) => purpose);
    return this.#start(purposes, emit, (purpose) => readWriteOnlyKeks(this.#settings, purpose));
  }

  startReadOnly(purposes: readonly string[], emit: (event: FieldSealEvent) => void): Promise<void> {
    return this.#start(purposes, emit, (purpose) => readReadOnlyKeks(this.#settings, purpose, emit));
  }

  keks(purpose: string): readonly string[] {
    return [...this.#keksOf(purpose).wrapping.keys()];
  }

  openKeks(purpose: string): readonly string[] {
    return [...this.#keksOf(purpose).unwrapping.keys()];
  }

  async generate(kek: string, context: WrapContext): Promise<GeneratedRoot> {
    await Promise.resolve(); // what follows throws; a caller of a promise expects a rejection
    this.#refuseWriteOnly(context.purpose);
    const found = this.#wrapping(kek, context.purpose);
    this.#count('GenerateDataKey');
    const { root, wrapped } = found.generate(context);
    return { root, wrap: wrapOf(kek, context, wrapped) };
  }

  unwrap(wraps: readonly Wrap[], context: Omit<WrapContext, 'wrapId'>): Promise<Buffer> {
    return this.#unwrapFirst(wraps, context, ROOT_FORM);
  }

  async generateEnvelope(kek: string, scope: KeyScope): Promise<EnvelopeRoot> {
    await Promise.resolve(); // as in generate
    const found = this.#wrapping(kek, scope.purpose);
    this.#count('GenerateDataKey');
    const { root, wrapped } = found.generate(envelopeContext(scope));
    return { root, kek, wrapped };
  }

  async unwrapEnvelope(kek: string, wrapped: Uint8Array, scope: KeyScope): Promise<Buffer> {
    await Promise.resolve(); // as in generate
    this.#refuseWriteOnly(scope.purpose);
    this.#refuseForeign([kek], scope.purpose);
    const outcome = this.#unwrapOne(kek, wrapped, envelopeContext(scope), ROOT_FORM);
    if (Buffer.isBuffer(outcome)) return outcome;
    throw outcome;
  }

  async generatePair(kek: string, context: WrapContext): Promise<GeneratedPair> {
    await Promise.resolve(); // as in generate
    this.#refuseWriteOnly(context.purpose);
    const found = this.#wrapping(kek, context.purpose);
    this.#count('GenerateDataKeyPairWithoutPlaintext');
    const { publicKey, wrapped } = found.generatePair(context);
    return { publicKey, wrap: wrapOf(kek, context, wrapped) };
  }

  unwrapPair(wraps: readonly Wrap[], context: Omit<WrapContext, 'wrapId'>): Promise<Buffer> {
    return this.#unwrapFirst(wraps, context, PAIR_FORM);
  }

  async notDenied(scope: KeyScope): Promise<readonly Privilege[]> {
    await Promise.resolve(); // as in generate
    return this.keks(scope.purpose).map((kek) => ({ kek, operation: 'Decrypt', answer: 'allowed' }));
  }

  calls(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#keks.clear();
    return Promise.resolve();
  }

  async #start(
    purposes: readonly string[],
    emit: (event: FieldSealEvent) => void,
    read: (purpose: string) => Promise<PurposeKeks>,
  ): Promise<void> {
    this.#emit = emit;
    const all = await Promise.all(purposes.map(async (purpose) => [purpose, await read(purpose)] as const));
    if (this.#closed) throw closed();
    for (const [purpose, keks] of all) this.#keks.set(purpose, keks);
  }

  async #unwrapFirst(
    wraps: readonly Wrap[],
    context: Omit<WrapContext, 'wrapId'>,
    form: KeyForm,
  ): Promise<Buffer> {
    await Promise.resolve(); // as in generate
    this.#refuseWriteOnly(context.purpose);
    this.#refuseForeign(
      wraps.map(({ kek }) => kek),
      context.purpose,
    );
    const failures: KmsError[] = [];
    for (const { kek, wrapped, wrapId } of wraps) {
      const outcome = this.#unwrapOne(kek, wrapped, { ...context, wrapId }, form);
      if (Buffer.isBuffer(outcome)) return outcome;
      failures.push(outcome);
    }
    throw failures[0] ?? noWrap(context.purpose);
  }

  #unwrapOne(name: string, wrapped: Uint8Array, context: BoundContext, form: KeyForm) {
    const keks = this.#keksOf(context.purpose);
    const kek = keks.unwrapping.get(name);
    if (kek === undefined) return missingKek(name, context.purpose, keks.missing);
    this.#count('Decrypt');
    const key = form.unwrap(kek, wrapped, context);
    if (key !== undefined) return key;
    const error = refused(name, context, wrapped.length, form);
    this.#emit({ type: 'alarm', code: error.code, message: error.message });
    return error;
  }

  #wrapping(kek: string, purpose: string): LocalKek {
    const found = this.#keksOf(purpose).wrapping.get(kek);
    if (found === undefined) throw notConfigured(kek, purpose, 'keks');
    return found;
  }

  #refuseWriteOnly(purpose: string): void {
    this.#keksOf(purpose); // a purpose that is not there is told first
    if (this.#writeOnly) throw writeOnly();
  }

  #refuseForeign(names: readonly string[], purpose: string): void {
    const keks = this.#keksOf(purpose);
    const foreign = names.find((name) => !keks.unwrapping.has(name) && !mayBeMissing(name, keks));
    if (foreign !== undefined) throw notConfigured(foreign, purpose, 'keks and openKeks');
  }

  #count(operation: string): void {
    this.#counts.set(operation, (this.#counts.get(operation) ?? 0) + 1);
  }

  #keksOf(purpose: string): PurposeKeks {
    if (this.#closed) throw closed();
    const keks = this.#keks.get(purpose);
    if (keks === undefined) throw noKek(purpose, [...this.#keks.keys()]);
    return keks;
  }
}

function wrapOf(kek: string, { wrapId }: WrapContext, wrapped: Buffer): Wrap {
  return { kek, keyMaterialId: null, wrapId, wrapped, created: new Date() };
}

/**
 * Whether a KEK that is not there may be the one of a missing file: nobody knows its name without the file. Its wraps
 * are passed over, which harms nothing, since there is no key to try.
 */
function mayBeMissing(kek: string, { missing }: PurposeKeks): boolean {
  return missing.length > 0 && isLocalKekName(kek);
}
