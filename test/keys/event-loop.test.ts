/** Work that takes long lets the event loop turn. The turns are counted: how long each takes is the machine's as well. */
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { describe, expect, it } from 'vitest';
import { turnsDuring } from '../../bench/longest-block.js';
import { openBench, openPans, sealPans } from './seal-fixture.js';
import { openSealed, PAN, sealAll } from './sealed-fixture.js';

const pans = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => String(i).padStart(16, PAN));
const DELIVERY = { sealed: { sessionsPerPage: 5_000 } };

describe('the event loop turns', () => {
  it('while session keys are made for 2,000 rows', async () => {
    const { seal, pan } = await openSealed(DELIVERY);
    const rows = [{ column: pan, values: pans(2_000) }];
    const { turns } = await turnsDuring(async () => {
      (await seal.prepare(rows)).close();
    });
    // 0.15 ms a key, 8 ms a turn.
    expect(turns).toBeGreaterThan(25);
  });

  it('while they are made for many statements at once', async () => {
    const { seal, pan } = await openSealed(DELIVERY);
    const statement = async (): Promise<void> => {
      (await seal.prepare([{ column: pan, values: pans(20) }])).close();
    };
    const { turns } = await turnsDuring(() => Promise.all(Array.from({ length: 100 }, statement)));
    expect(turns).toBeGreaterThan(25);
  });

  it('while all is made that sealing needs, so that sealing sets no cipher up', async () => {
    const { seal, pan } = await openSealed(DELIVERY);
    for (const values of [pans(50), pans(50).map((value) => value.repeat(5))]) {
      const rows = [{ column: pan, values }];
      const prepared = await seal.prepare(rows);
      const made = ciphersMadeDuring(() => seal.sealRows(rows, prepared));
      prepared.close();
      expect(made).toBe(0);
    }
  });

  it('while a page of 1,000 session keys is opened', async () => {
    const sealed = await openSealed(DELIVERY);
    const { cells } = await sealAll(sealed, pans(1_000));
    let opened: unknown;
    const { turns } = await turnsDuring(async () => {
      opened = (await openPans(sealed, cells)).values;
    });
    expect(opened).toEqual(pans(1_000));
    expect(turns).toBeGreaterThan(15);
  });

  it('while a large page of pool cells is opened', async () => {
    const pool = await openBench();
    const { cells } = sealPans(pool, pans(60_000));
    let opened: unknown;
    const { turns } = await turnsDuring(async () => {
      opened = (await openPans(pool, cells)).values;
    });
    expect(opened).toEqual(pans(60_000));
    expect(turns).toBeGreaterThan(3);
    expect(pool.seal.stats()).toMatchObject({ cellsOpened: 60_000, openFailures: 0 });
  });

  it('never for a small page, which is opened at once', async () => {
    const pool = await openBench();
    const { cells } = sealPans(pool, pans(20));
    await openPans(pool, cells);
    const pages: unknown[] = [];
    // A busy machine may stop the process in the midst of any one of them.
    for (let i = 0; i < 10; i++) {
      await new Promise(setImmediate);
      pages.push(pool.seal.openPage([{ column: pool.pan, cells }]));
    }
    expect(pages.some((page) => !(page instanceof Promise))).toBe(true);
  });
});

/** How many of Node's cipher objects are made while `work` runs. */
function ciphersMadeDuring(work: () => unknown): number {
  let made = 0;
  const create = crypto.createCipheriv;
  crypto.createCipheriv = ((...args: Parameters<typeof create>) => {
    made += 1;
    return create(...args);
  }) as typeof create;
  syncBuiltinESMExports();
  try {
    work();
    return made;
  } finally {
    crypto.createCipheriv = create;
    syncBuiltinESMExports();
  }
}
