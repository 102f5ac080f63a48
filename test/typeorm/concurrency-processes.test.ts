/** Several processes that write the same tables, and some that are killed while they do. */
import { randomInt, randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { bundleScript, startScript, type RunningScript } from '@fieldseal/test-support';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Account, ENTITIES } from './concurrency-entities.js';
import { expectWholeTables, kmsOf } from './concurrency-fixture.js';
import type { ConcurrencyProcessSetup } from './concurrency-process.js';
import { dialect } from './databases.js';
import { Customer } from './entities.js';
import { isAbleTo } from './limits.js';
import { openShop, type Shop } from './shop.js';

describe.runIf(isAbleTo('several processes'))('several processes', () => {
  let shop: Shop;
  let script: Awaited<ReturnType<typeof bundleScript>>;
  beforeAll(async () => {
    [script, shop] = await Promise.all([
      bundleScript(`${import.meta.dirname}/concurrency-process.ts`),
      openShop({ entities: ENTITIES, purposes: { 'card-number': {}, 'personal-data': {} } }),
    ]);
  });
  afterAll(async () => {
    script.remove();
    await shop.close();
  });

  function start(
    work: ConcurrencyProcessSetup['work'],
    accounts: readonly string[] = [],
    writes = 0,
  ): RunningScript {
    const { database, keyDatabase } = shop;
    const setup = { work, url: database.url, keyUrl: keyDatabase.url, kms: kmsOf(shop), accounts, writes };
    return startScript(script.file, [JSON.stringify(setup satisfies ConcurrencyProcessSetup)]);
  }

  it('that write the same rows by version lose no write', async () => {
    const { manager } = shop.dataSource;
    const accounts = [randomUUID(), randomUUID()];
    await manager.insert(
      Account,
      accounts.map((id) => ({ id, writes: 0, balance: 0, pan: '4111' })),
    );
    const processes = [start('count', accounts, 60), start('count', accounts, 60)];
    await Promise.all(processes.map((one) => one.line('ready')));
    for (const one of processes) one.send('go');
    const ends = await Promise.all(processes.map((one) => one.ended));
    expect(ends.map(({ code, stderr }) => [code, stderr])).toEqual([
      [0, ''],
      [0, ''],
    ]);
    const found = await manager.find(Account);
    expect(found.map(({ version, writes, balance, pan }) => [version, writes, balance, pan])).toEqual(
      found.map(() => [61, 60, 60, '4111-60']),
    );
    const refused = ends.map(({ stdout }) => Number(stdout.split(' ').at(-1)));
    expect(Math.max(...refused)).toBeGreaterThan(0);
    await expectWholeTables(shop);
  });

  it('that are killed in the middle of saves leave whole rows, all that they had committed among them', async () => {
    const processes = Array.from({ length: 3 }, () => start('saveForEver'));
    for (const one of processes) one.send('go');
    await Promise.all(processes.map((one) => one.line('saved ')));
    for (const one of processes) {
      await setTimeout(randomInt(20, 120));
      one.kill('SIGKILL');
    }
    const ends = await Promise.all(processes.map((one) => one.ended));
    expect(ends.map(({ signal }) => signal)).toEqual(['SIGKILL', 'SIGKILL', 'SIGKILL']);
    const said = ends.flatMap(({ stdout }) =>
      [...stdout.matchAll(/^saved (\S{36})$/gmu)].map((match) => match[1]!),
    );
    // The server may still be busy with a statement of a process that is gone.
    await vi.waitFor(async () => {
      expect(await shop.database.query(dialect.busy)).toEqual([]);
    });
    await expectWholeTables(shop);
    const found = await shop.dataSource.manager.find(Customer, { relations: { cards: true } });
    expect(found.filter(({ cards }) => cards.length !== 2)).toEqual([]);
    const ids = new Set(found.map(({ id }) => id));
    expect(said.length).toBeGreaterThan(3);
    expect(said.filter((id) => !ids.has(id))).toEqual([]);
  });
});
