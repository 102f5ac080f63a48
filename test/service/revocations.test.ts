import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { StoreError } from '../../src/errors.js';
import type { KmsEmulator } from '../../src/kms/emulator/emulator.js';
import type { KeyStore } from '../../src/keys/ports.js';
import { memoryKeyStore } from '../../src/store/memory.js';
import { moveKey, overriding, SCOPE, startEmulator, startSource } from './fixture.js';

let emulator: KmsEmulator;

beforeAll(async () => {
  emulator = await startEmulator();
});
afterAll(async () => {
  await emulator.close();
});

describe('revocation', () => {
  it('takes a key out as soon as the key store tells of it', async () => {
    const store = memoryKeyStore();
    const { source, revoked } = await startSource({ emulator, store });
    const [key] = await source.handOut(SCOPE.purpose, []);
    await moveKey(store, emulator, key!.fingerprint, 'SUSPENDED');
    await vi.waitFor(() => {
      expect(revoked).toEqual([key!.fingerprint]);
    });
    const handed = await source.handOut(SCOPE.purpose, []);
    expect(handed.map((other) => other.fingerprint)).not.toContain(key!.fingerprint);
    await source.close();
  });

  it('believes no message: keys that may be held stay', async () => {
    const { store, tell } = interrupted(memoryKeyStore());
    const { source, revoked, held } = await startSource({ emulator, store });
    const [key, other] = await source.handOut(SCOPE.purpose, []);
    held.push(key!.fingerprint, other!.fingerprint);
    const [index] = (await source.indexKeys(SCOPE.purpose))!;
    tell([key!.fingerprint, index!.fingerprint, '00000000-0000-8000-8000-000000000000']);
    await moveKey(store, emulator, other!.fingerprint, 'SUSPENDED');
    tell([other!.fingerprint]);
    await vi.waitFor(() => {
      expect(revoked).toContain(other!.fingerprint);
    });
    expect(revoked).not.toContain(key!.fingerprint);
    expect(revoked).not.toContain(index!.fingerprint);
    await source.close();
  });

  it('looks up what is held when messages may have been lost', async () => {
    const { store, lose } = interrupted(memoryKeyStore());
    const { source, revoked, held } = await startSource({ emulator, store });
    const keys = await source.handOut(SCOPE.purpose, []);
    const unknown = '00000000-0000-8000-8000-000000000000';
    held.push(...keys.map((key) => key.fingerprint), unknown);
    await moveKey(store, emulator, keys[0]!.fingerprint, 'COMPROMISED');
    lose();
    await vi.waitFor(() => {
      expect(revoked).toEqual([keys[0]!.fingerprint, unknown]);
    });
    await source.close();
  });

  it('looks up again after a while when the key store did not answer, and not after closing', async () => {
    const { store, lose, fail } = interrupted(memoryKeyStore());
    const { source, revoked, held, clock, events } = await startSource({ emulator, store });
    const [key] = await source.handOut(SCOPE.purpose, []);
    held.push(key!.fingerprint);
    await moveKey(store, emulator, key!.fingerprint, 'SUSPENDED');
    fail(true);
    lose();
    await vi.waitFor(() => {
      expect(clock.timers.size).toBe(1);
    });
    expect(events.at(-1)).toMatchObject({ type: 'warning', code: 'ERR_STORE_UNAVAILABLE' });
    expect(revoked).toEqual([]);
    fail(false);
    clock.runTimers();
    await vi.waitFor(() => {
      expect(revoked).toEqual([key!.fingerprint]);
    });
    fail(true);
    lose();
    await vi.waitFor(() => {
      expect(clock.timers.size).toBe(1);
    });
    await source.close();
    expect(clock.timers.size).toBe(0);
  });

  it('says nothing of a look that the close interrupts', async () => {
    const { store: inner, lose } = interrupted(memoryKeyStore());
    let interrupt = (): void => undefined;
    const answer = new Promise<never>((_, reject) => {
      interrupt = () => {
        reject(new StoreError('ERR_STORE_CLOSED', 'The key store was closed.'));
      };
    });
    const find = vi.fn(() => answer);
    const store = overriding(inner, { find });
    const { source, held, events, clock } = await startSource({ emulator, store });
    held.push('00000000-0000-8000-8000-000000000000');
    const before = events.length;
    lose();
    await vi.waitFor(() => {
      expect(find).toHaveBeenCalled();
    });
    await source.close();
    interrupt();
    await new Promise(setImmediate);
    expect(events.slice(before)).toEqual([]);
    expect(clock.timers.size).toBe(0);
  });

  it('needs no channel: a store without one works', async () => {
    const store = memoryKeyStore();
    const { source } = await startSource({ emulator, store: overriding(store, { watch: undefined }) });
    expect(await source.handOut(SCOPE.purpose, [])).toHaveLength(3);
    await source.close();
  });
});

/** A store whose channel delivers nothing but, when told, the news that messages may have been lost. */
function interrupted(inner: KeyStore): {
  readonly store: KeyStore;
  readonly lose: () => void;
  readonly tell: (fingerprints: readonly string[]) => void;
  readonly fail: (failing: boolean) => void;
} {
  let listener: ((fingerprints: readonly string[] | 'unknown') => void) | undefined;
  let failing = false;
  const store = overriding(inner, {
    watch: (told) => {
      listener = told;
      return Promise.resolve(() => Promise.resolve());
    },
    find: (scope, fingerprints) =>
      failing
        ? Promise.reject(new StoreError('ERR_STORE_UNAVAILABLE', 'The database does not answer.'))
        : inner.find(scope, fingerprints),
  });
  return {
    store,
    lose: () => {
      listener?.('unknown');
    },
    tell: (fingerprints) => {
      listener?.(fingerprints);
    },
    fail: (value) => {
      failing = value;
    },
  };
}
