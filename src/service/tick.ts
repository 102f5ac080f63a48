/** One tick of the clockwork under the lock of the scope: performs what `clockwork.ts` says is to be done. */
import type { FieldSealError } from '../errors.js';
import { planTasks, type Task } from './clockwork.js';
import { chooseKeks, isUnderSilentKeks, kekIdentity, kekOfAllKeys } from './kek-spread.js';
import { makeDataKey, makeIndexKey, makePair, proveKey, type MakeAhead } from './key-maker.js';
import { codedError, isPassingTrouble } from './kms-trouble.js';
import { settleAll } from '../keys/parallel.js';
import { type ScopeDesk, nameOf } from './scope-desk.js';
import type { LockedRows, MoveReason, NewRow } from './locked-rows.js';
import type { Moment } from './moment.js';
import type { KeyRecord } from '../keys/ports.js';

/** Retire and promote, promote what was just made, and once more where a proof failed. */
const MAX_ROUNDS = 3;

type TaskOf<Name extends Task['do']> = Extract<Task, { readonly do: Name }>;

/**
 * Brings the keys of the scope to where they should be now. Makes KMS calls only where a key is made or promoted.
 * What the KMS refuses is left undone, with an alarm, and the next tick tries again. While the clock of this machine is in
 * doubt nothing is done.
 * @returns the errors that kept a key from being made or promoted.
 * @throws StoreError as the store.
 */
export async function tick(
  desk: ScopeDesk,
  rows: LockedRows,
  { now, doubt }: Moment,
): Promise<readonly FieldSealError[]> {
  if (doubt !== undefined) return [doubt];
  const work = new Tick(desk, rows, now);
  for (let round = 0; round < MAX_ROUNDS; round++) {
    if (!(await work.round())) break;
  }
  work.checkSpread();
  return work.failures;
}

class Tick {
  readonly #desk: ScopeDesk;
  readonly #rows: LockedRows;
  readonly #now: number;
  readonly #unproven = new Set<string>();
  /** KEKs that did not answer in this tick. */
  readonly #silent = new Set<string>();
  readonly failures: FieldSealError[] = [];

  constructor(desk: ScopeDesk, rows: LockedRows, now: number) {
    this.#desk = desk;
    this.#rows = rows;
    this.#now = now;
  }

  /** Performs the tasks that are due; false when there were none, or when no KEK answers: none is asked again under the lock. */
  async round(): Promise<boolean> {
    const tasks = planTasks({
      now: this.#now,
      policy: this.#desk.policy,
      keys: this.#rows.keys,
      unproven: this.#unproven,
      complete: this.#rows.refused.size === 0,
    });
    for (const task of select(tasks, 'retire')) await this.#retire(task);
    await this.#promote(select(tasks, 'promote'));
    await this.#makeAhead(select(tasks, 'make-data').length, makeDataKey);
    await this.#makeAhead(select(tasks, 'make-pair').length, makePair);
    await this.#makeIndex(select(tasks, 'make-index'));
    return tasks.length > 0 && this.#answeringKeks().length > 0;
  }

  /** Several KEKs are configured, and yet one of them could open every key. */
  checkSpread(): void {
    const { kms, scope, emit } = this.#desk;
    if (new Set(kms.keks(scope.purpose).map(kekIdentity)).size < 2) return;
    const kek = kekOfAllKeys(this.#rows.keys);
    if (kek === undefined) return;
    const message = `${nameOf(scope)}: one KEK (${kek}) could open all keys; it stays so until keys are made under another one.`;
    emit({ type: 'alarm', code: 'ERR_CONFIG_KEK_SPREAD', message });
  }

  async #retire({ key, why, misdated }: TaskOf<'retire'>): Promise<void> {
    if (misdated) this.#alarmMisdated(key);
    // A key retired early keeps the true date: the last possible sealUntil is counted from it.
    const retires = new Date(Math.min(key.retires?.getTime() ?? this.#now, this.#now));
    await this.#rows.move(key.fingerprint, 'DECRYPT', this.#by(why), { retires });
  }

  /** Other processes wait for the lock meanwhile, so a KEK that is known not to answer is not waited for. */
  async #promote(tasks: readonly TaskOf<'promote'>[]): Promise<void> {
    const { kms } = this.#desk;
    const silent = tasks.filter(({ key }) => isUnderSilentKeks(kms, key));
    for (const { key } of silent) this.#unproven.add(key.fingerprint);
    const asked = tasks.filter((task) => !silent.includes(task));
    const proofs = await settleAll(asked, ({ key }) => proveKey(kms, key));
    for (const [i, { key, retires }] of asked.entries()) {
      const proof = proofs[i]!;
      if (proof.status === 'rejected') {
        this.#unproven.add(key.fingerprint);
        const keks = key.wraps.map(({ kek }) => kek);
        this.#failed(
          proof.reason,
          keks,
          'a FUTURE key could not be proven and was not promoted',
          key.fingerprint,
        );
        continue;
      }
      const dates = { activates: new Date(this.#now), retires: new Date(retires) };
      await this.#rows.move(key.fingerprint, 'ENCRYPT', this.#by('a place in the pool is free'), dates);
    }
  }

  /** A KEK that refuses or does not answer is left out for the rest, so that it does not stop the making of keys. */
  async #makeAhead(count: number, make: MakeAhead): Promise<void> {
    const { kms, scope, randomBelow } = this.#desk;
    let keks = this.#answeringKeks();
    let missing = count;
    while (missing > 0 && keks.length > 0) {
      const chosen = chooseKeks(missing, keks, this.#rows.keys, randomBelow);
      const asked = chosen.map((kek) => ({ kek }));
      const refused = await this.#insertMade(asked, 'made ahead', ({ kek }) =>
        make(kms, kek, scope, new Date(this.#now)),
      );
      missing = refused.length;
      keks = keks.filter((name) => !refused.some(({ kek }) => kek === name));
    }
  }

  #answeringKeks(): readonly string[] {
    const { kms, scope } = this.#desk;
    return kms.keks(scope.purpose).filter((kek) => !this.#silent.has(kek));
  }

  async #makeIndex(tasks: readonly TaskOf<'make-index'>[]): Promise<void> {
    const { kms, scope, randomBelow } = this.#desk;
    const answering = this.#answeringKeks();
    if (answering.length === 0) return;
    const keks = chooseKeks(tasks.length, answering, this.#rows.keys, randomBelow);
    const missing = tasks.map(({ version }, i) => ({ version, kek: keks[i]! }));
    await this.#insertMade(missing, 'the policy names this version', ({ version, kek }) =>
      makeIndexKey(kms, kek, scope, version, new Date(this.#now)),
    );
  }

  /** Inserts what could be made, and returns the items for which the KMS failed. */
  async #insertMade<Item extends { readonly kek: string }>(
    items: readonly Item[],
    why: string,
    makeOne: (item: Item) => Promise<NewRow>,
  ): Promise<readonly Item[]> {
    const made = await settleAll(items, makeOne);
    for (const [i, result] of made.entries()) {
      if (result.status === 'fulfilled') await this.#rows.insert(result.value, this.#by(why));
      else this.#failed(result.reason, [items[i]!.kek], 'a key could not be made');
    }
    return items.filter((_, i) => made[i]!.status === 'rejected');
  }

  #alarmMisdated({ fingerprint, activates }: KeyRecord): void {
    const { emit, scope } = this.#desk;
    const from = activates?.toISOString() ?? 'a time to come';
    const message = `Key ${fingerprint} of ${nameOf(scope)}: expected it to seal since a time that has passed, got ${from}. A machine whose clock is wrong made its dates; it is retired now. Find that machine among the actors of the key events.`;
    emit({ type: 'alarm', code: 'ERR_STORE_CLOCK', message, fingerprint });
  }

  #by(why: string): MoveReason {
    return { at: new Date(this.#now), who: this.#desk.actor, why };
  }

  #failed(reason: unknown, keks: readonly string[], what: string, fingerprint?: string): void {
    const error = codedError(reason);
    this.failures.push(error);
    if (isPassingTrouble(error)) for (const kek of keks) this.#silent.add(kek);
    const message = `${nameOf(this.#desk.scope)}: ${what}. ${error.message}`;
    this.#desk.emit({
      type: 'alarm',
      code: error.code,
      message,
      ...(fingerprint === undefined ? {} : { fingerprint }),
    });
  }
}

function select<Name extends Task['do']>(tasks: readonly Task[], name: Name): readonly TaskOf<Name>[] {
  return tasks.filter((task): task is TaskOf<Name> => task.do === name);
}
