/** Lists of public keys for processes that only seal, as the owner of the key store signs them. */
import type { KeyObject } from 'node:crypto';
import { PublicKey } from '../cell/key-pair.js';
import { ConfigError } from '../errors.js';
import type { Policy } from '../keys/policy.js';
import type { KeyRecord, KeySource } from '../keys/ports.js';
import { signPublicKeys, type ListedKey } from '../keys/public-key-list.js';
import { eachInSlices } from '../keys/slices.js';
import { publicHalves } from './hand-out.js';
import type { ScopeDesk } from './scope-desk.js';

/** A key source that can tell other processes the public keys of its purposes. */
export interface PublishingKeySource extends KeySource {
  /**
   * The public keys of a purpose of sealed delivery that may seal now, as text for `publicKeySource`; to be made anew at
   * least once per `pool.lifetime`, and put where the writers read it: a file, a table, a server. The text is no secret.
   * It is valid for `pool.lifetime` + `outage.seal`, and from `drain` before now, for writers whose clock is behind. One
   * query; with `manage` the clockwork runs before it. After `createFieldSeal` has started the source.
   * @param signingKey Ed25519, private. Whoever has it decides whom writers seal to; it needs to be nowhere else.
   * @throws ConfigError `ERR_CONFIG_OPTION` for another key or a purpose of another delivery, `ERR_CONFIG_PURPOSE_UNKNOWN`;
   * KeyError `ERR_POOL_EMPTY`; StoreError, `ERR_STORE_CLOCK` where the list would be signed by a doubtful clock; KmsError.
   */
  publicKeyList(purpose: string, signingKey: KeyObject): Promise<string>;
}

/** @throws ConfigError `ERR_CONFIG_OPTION`. */
export function assertSealed({ purpose, delivery }: Policy): void {
  if (delivery === 'sealed') return;
  throw new ConfigError(
    'ERR_CONFIG_OPTION',
    `purposes.${purpose}.delivery: expected 'sealed' for a list of public keys, got '${delivery}', which has none.`,
  );
}

/**
 * The serial is the wall clock in ms, so that it grows without a counter in the key store. Lists of one ms, or of a clock
 * that was set back, are refused by writers who know a newer one and go on with that: the next list after it is taken. A
 * clock that runs ahead makes lists that are not valid yet, so nothing beyond `drain` is ever known as newer.
 */
export async function signedList(
  desk: ScopeDesk,
  chosen: readonly KeyRecord[],
  signingKey: KeyObject,
): Promise<string> {
  const { scope, policy, clock } = desk;
  const now = clock.wall();
  const keys: ListedKey[] = [];
  await eachInSlices(publicHalves(desk, chosen), ({ spki, sealUntil }) => {
    keys.push({ key: PublicKey.parse(spki, scope), sealUntil });
  });
  const times = {
    serial: now,
    notBefore: now - policy.drainMs,
    notAfter: now + policy.pool.lifetimeMs + policy.outage.sealMs,
  };
  const { application, environment, purpose } = scope;
  return signPublicKeys({ application, environment, purpose, ...times, keys }, signingKey);
}
