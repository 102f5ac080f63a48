/** KEKs in files of this machine: for those without a KMS, and second best to one. */
import { KmsError } from '../../errors.js';
import type { FieldSealEvent } from '../../keys/events.js';
import type { GeneratedRoot, KekProvider, Wrap, WrapContext } from '../../keys/ports.js';
import { isLocalKekName, WRAPPED_BYTES } from './local-kek.js';
import { parseLocalKeksOptions } from './local-options.js';
import type { LocalKeksOptions, LocalKeksSettings } from './local-options.js';
import { readPurposeKeks } from './purpose-keks.js';
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
 * `calls()` counts under the names that the same work has in AWS KMS.
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
  #closed = false;

  constructor(settings: LocalKeksSettings) {
    this.#settings = settings;
  }

  async start(purposes: readonly string[], emit: (event: FieldSealEvent) => void): Promise<void> {
    this.#emit = emit;
    const read = await Promise.all(
      purposes.map(
        async (purpose) => [purpose, await readPurposeKeks(this.#settings, purpose, emit)] as const,
      ),
    );
    if (this.#closed) throw closed();
    for (const [purpose, keks] of read) this.#keks.set(purpose, keks);
  }

  keks(purpose: string): readonly string[] {
    return this.#keksOf(purpose).wrapping;
  }

  async generate(kek: string, context: WrapContext): Promise<GeneratedRoot> {
    await Promise.resolve(); // what follows throws; a caller of a promise expects a rejection
    const { wrapping, unwrapping } = this.#keksOf(context.purpose);
    const found = wrapping.includes(kek) ? unwrapping.get(kek) : undefined;
    if (found === undefined) throw notConfigured(kek, context.purpose, 'keks');
    this.#count('GenerateDataKey');
    const { root, wrapped } = found.generate(context);
    const { wrapId } = context;
    return { root, wrap: { kek, keyMaterialId: null, wrapId, wrapped, created: new Date() } };
  }

  async unwrap(wraps: readonly Wrap[], context: Omit<WrapContext, 'wrapId'>): Promise<Buffer> {
    await Promise.resolve(); // as in generate
    const keks = this.#keksOf(context.purpose);
    const foreign = wraps.find((wrap) => !keks.unwrapping.has(wrap.kek) && !mayBeMissing(wrap.kek, keks));
    if (foreign !== undefined) throw notConfigured(foreign.kek, context.purpose, 'keks and openKeks');
    const failures: KmsError[] = [];
    for (const wrap of wraps) {
      const outcome = this.#unwrapOne(wrap, context, keks);
      if (Buffer.isBuffer(outcome)) return outcome;
      failures.push(outcome);
    }
    throw failures[0] ?? noWrap(context.purpose);
  }

  calls(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#keks.clear();
    return Promise.resolve();
  }

  #unwrapOne(wrap: Wrap, context: Omit<WrapContext, 'wrapId'>, keks: PurposeKeks): Buffer | KmsError {
    const kek = keks.unwrapping.get(wrap.kek);
    if (kek === undefined) return missingKek(wrap.kek, context.purpose, keks.missing);
    this.#count('Decrypt');
    const root = kek.unwrap(wrap.wrapped, { ...context, wrapId: wrap.wrapId });
    if (root !== undefined) return root;
    const error = refused(wrap, context);
    this.#emit({ type: 'alarm', code: error.code, message: error.message });
    return error;
  }

  #count(operation: string): void {
    this.#counts.set(operation, (this.#counts.get(operation) ?? 0) + 1);
  }

  #keksOf(purpose: string): PurposeKeks {
    if (this.#closed) throw closed();
    const keks = this.#keks.get(purpose);
    if (keks !== undefined) return keks;
    throw new KmsError(
      'ERR_KMS_KEK_NOT_CONFIGURED',
      `Purpose "${purpose}" has no KEK: expected one of ${[...this.#keks.keys()].join(', ') || 'none yet, start() was not called'}; add it to localKeks.keks.`,
    );
  }
}

/**
 * Whether a KEK that is not there may be the one of a missing file: nobody knows its name without the file. Its wraps
 * are passed over, which harms nothing, since there is no key to try.
 */
function mayBeMissing(kek: string, { missing }: PurposeKeks): boolean {
  return missing.length > 0 && isLocalKekName(kek);
}

function missingKek(kek: string, purpose: string, missing: readonly string[]): KmsError {
  return new KmsError(
    'ERR_KMS_KEK_UNUSABLE',
    `${kek} for purpose "${purpose}": expected it in a key file, got none, and ${missing.join(', ')} is missing; put the file back from its backup.`,
  );
}

function refused(wrap: Wrap, context: Omit<WrapContext, 'wrapId'>): KmsError {
  const { application, environment, purpose, kind, delivery } = context;
  const { length } = wrap.wrapped;
  const got = length === WRAPPED_BYTES ? 'bytes that do not verify' : `${length} bytes`;
  return new KmsError(
    'ERR_KMS_WRAP_REFUSED',
    `Unwrapping under ${wrap.kek} for application "${application}", environment "${environment}", purpose "${purpose}", kind ${kind}, delivery ${delivery}: expected a wrap of ${WRAPPED_BYTES} bytes that localKeks made, got ${got}; the wrap was changed, or belongs to another of these names. Compare it with a backup of the key store.`,
  );
}

function notConfigured(kek: string, purpose: string, list: string): KmsError {
  const got = isLocalKekName(kek) ? kek : `a name of ${kek.length} characters that is none of a local KEK`;
  return new KmsError(
    'ERR_KMS_KEK_NOT_CONFIGURED',
    `Purpose "${purpose}": expected a KEK of localKeks ${list}, got ${got}; a wrap may only name configured KEKs. A key file that was exchanged has another name: put the old one back, or into openKeks.`,
  );
}

function noWrap(purpose: string): KmsError {
  return new KmsError(
    'ERR_KMS_WRAP_REFUSED',
    `Purpose "${purpose}": expected at least one wrap of the key, got none; restore the key store from a backup.`,
  );
}

function closed(): KmsError {
  return new KmsError('ERR_KMS_UNAVAILABLE', 'localKeks: the KEK provider was closed; make a new one.');
}
