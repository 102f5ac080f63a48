/** Spreads keys over KEKs, so that whoever has one KEK never has all keys of a purpose (requirement C7). */
import { ConfigError } from '../errors.js';
import type { FieldSealEvent } from '../keys/events.js';
import type { Policy } from '../keys/policy.js';
import type { KekProvider, KeyRecord, RandomBelow } from '../keys/ports.js';
import { isCellKey } from './clockwork.js';

/** Replicas of a multi-region key share its id and its material: AWS KMS Developer Guide, "Multi-Region keys". */
const MULTI_REGION_ARN = /^arn:[^:]+:kms:[^:]*:([^:]*):key\/(mrk-.+)$/;

/** What counts as one KEK: replicas of a multi-region key in several regions are one. */
export function kekIdentity(kek: string): string {
  const replica = MULTI_REGION_ARN.exec(kek);
  return replica === null ? kek : `${replica[1]}/${replica[2]}`;
}

/** The KEKs of `keks`; one that does not answer today is among them: it must not keep a process from starting. */
export function configuredKeks(
  kms: Pick<KekProvider, 'keks' | 'missingKeks'>,
  purpose: string,
): readonly string[] {
  return [...kms.keks(purpose), ...(kms.missingKeks?.(purpose) ?? [])];
}

/** Whether each KEK that could open the key is known not to answer now. */
export function isUnderSilentKeks(
  kms: Pick<KekProvider, 'silentKeks'>,
  { purpose, wraps }: Pick<KeyRecord, 'purpose' | 'wraps'>,
): boolean {
  const silent = kms.silentKeks?.(purpose) ?? [];
  return wraps.every(({ kek }) => silent.includes(kek));
}

/**
 * Checks the configured KEKs of a purpose: one alone gives a warning, or an error where the policy asks for a spread.
 * @throws ConfigError `ERR_CONFIG_KEK_SPREAD`.
 */
export function checkConfiguredKeks(
  policy: Policy,
  keks: readonly string[],
  emit: (event: FieldSealEvent) => void,
): void {
  const distinct = new Set(keks.map(kekIdentity)).size;
  if (distinct > 1) return;
  const message = `purposes.${policy.purpose}: one KEK opens all keys of the purpose; configure a second KEK for it (replicas of a multi-region key count as one)`;
  if (policy.requireKekSpread) {
    throw new ConfigError('ERR_CONFIG_KEK_SPREAD', `${message}, or set requireKekSpread to false.`);
  }
  emit({ type: 'warning', code: 'ERR_CONFIG_KEK_SPREAD', message: `${message}.` });
}

/** A KEK for each of `count` new keys: each time at random among those with the fewest keys that seal or will. */
export function chooseKeks(
  count: number,
  keks: readonly string[],
  keys: readonly KeyRecord[],
  randomBelow: RandomBelow,
): string[] {
  const load = new Map(keks.map((kek) => [kek, keysUnder(kek, keys)]));
  return Array.from({ length: count }, () => {
    const fewest = Math.min(...load.values());
    const candidates = keks.filter((kek) => load.get(kek) === fewest);
    const kek = candidates[randomBelow(candidates.length)]!;
    load.set(kek, fewest + 1);
    return kek;
  });
}

/** The KEK that could open all of several data keys and pairs, judged over all their wraps; undefined when there is none. */
export function kekOfAllKeys(keys: readonly KeyRecord[]): string | undefined {
  const alive = keys.filter((key) => isCellKey(key) && key.state !== 'DESTROYED');
  const [first, ...others] = alive.map((key) => key.wraps.map((wrap) => kekIdentity(wrap.kek)));
  if (first === undefined || others.length === 0) return undefined;
  return first.find((kek) => others.every((wraps) => wraps.includes(kek)));
}

function keysUnder(kek: string, keys: readonly KeyRecord[]): number {
  const identity = kekIdentity(kek);
  const serves = (key: KeyRecord): boolean =>
    isCellKey(key) && (key.state === 'FUTURE' || key.state === 'ENCRYPT');
  return keys.filter((key) => serves(key) && key.wraps.some((wrap) => kekIdentity(wrap.kek) === identity))
    .length;
}
