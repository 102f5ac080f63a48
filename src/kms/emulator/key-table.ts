/** The keys and aliases of a running emulator, saved before each change shows. */
import { AwsException } from './exceptions.js';
import { ACCOUNT, keyArn } from './arns.js';
import { withNewMaterial } from './key.js';
import type { StoredKey } from './key.js';
import type { EmulatorState } from './state-file.js';

const DAY_MS = 86_400_000;

export class KeyTable {
  readonly region: string;
  readonly #save: (state: EmulatorState) => void;
  readonly #now: () => number;
  #state: EmulatorState;

  constructor(region: string, state: EmulatorState, save: (state: EmulatorState) => void, now: () => number) {
    this.region = region;
    this.#state = state;
    this.#save = save;
    this.#now = now;
  }

  /** By key id, key ARN, alias or alias ARN; rotates a key whose rotation is due. */
  find(name: string): StoredKey | undefined {
    const local = this.#localName(name);
    const keyId = local.startsWith('alias/') ? this.#state.aliases.get(local) : local.replace(/^key\//, '');
    const key = this.#state.keys.get(keyId ?? '');
    if (key === undefined || this.#isGone(key)) return undefined;
    return this.#rotatedWhenDue(key);
  }

  /** @throws AwsException `NotFoundException`. */
  get(name: string): StoredKey {
    const key = this.find(name);
    if (key !== undefined) return key;
    const text = name.startsWith('alias/')
      ? `Alias arn:aws:kms:${this.region}:${ACCOUNT}:${name} is not found.`
      : `Key '${name.startsWith('arn:') ? name : keyArn(this.region, name)}' does not exist`;
    throw new AwsException('NotFoundException', text);
  }

  put(key: StoredKey): void {
    this.#replace({ ...this.#state, keys: new Map(this.#state.keys).set(key.keyId, key) });
  }

  /** @throws AwsException `AlreadyExistsException`. */
  putAlias(alias: string, keyId: string): void {
    if (this.find(alias) !== undefined) {
      throw new AwsException('AlreadyExistsException', `An alias with the name ${alias} already exists`);
    }
    this.#replace({ ...this.#state, aliases: new Map(this.#state.aliases).set(alias, keyId) });
  }

  /** @throws AwsException `NotFoundException`. */
  moveAlias(alias: string, keyId: string): void {
    this.get(alias);
    this.#replace({ ...this.#state, aliases: new Map(this.#state.aliases).set(alias, keyId) });
  }

  removeAlias(alias: string): void {
    const aliases = new Map(this.#state.aliases);
    aliases.delete(alias);
    this.#replace({ ...this.#state, aliases });
  }

  aliases(): readonly (readonly [alias: string, keyId: string])[] {
    return [...this.#state.aliases].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /** The part of a name that is unique here; a name of another region or account stays whole and finds nothing. */
  #localName(name: string): string {
    const prefix = `arn:aws:kms:${this.region}:${ACCOUNT}:`;
    return name.startsWith(prefix) ? name.slice(prefix.length) : name;
  }

  #isGone(key: StoredKey): boolean {
    return key.deletionDate !== null && key.deletionDate <= this.#now();
  }

  #rotatedWhenDue(key: StoredKey): StoredKey {
    const now = this.#now();
    if (key.rotation === null || key.state !== 'Enabled' || key.rotation.next > now) return key;
    const { periodDays } = key.rotation;
    const rotated = {
      ...withNewMaterial(key, now),
      rotation: { periodDays, next: now + periodDays * DAY_MS },
    };
    this.put(rotated);
    return rotated;
  }

  #replace(state: EmulatorState): void {
    this.#save(state);
    this.#state = state;
  }
}
