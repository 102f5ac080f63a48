/** Statements of the canary suite that fail on their way: their connection, their time or their transaction is lost. */
import { Client } from 'pg';
import type { DataSource, EntityManager } from 'typeorm';
import { CONTROL, newVault, Vault } from './canary-entities.js';
import { failure, type Failure } from './canary-refusals.js';

export function interruptions(dataSource: DataSource, url: string): Failure[] {
  return [...interrupted(dataSource, url), ...conflicts(dataSource)];
}

/** The server ends the connection, or the statement, while it is under way. */
function interrupted(dataSource: DataSource, url: string): Failure[] {
  const { word } = newVault();
  const saving: Statement = ['INSERT INTO "vaults"', (manager) => manager.save(newVault({ kind: 'slow' }))];
  const finding: Statement = [
    'SELECT "vault"',
    (manager) =>
      manager
        .createQueryBuilder(Vault, 'vault')
        .where({ word })
        .andWhere('pg_sleep(3) IS NOT NULL')
        .getMany(),
  ];
  const plain: Statement = [
    'SELECT $1',
    (manager) => manager.query(`SELECT $1, '${CONTROL}', pg_sleep(3)`, ['x']),
  ];
  const killed = ([start, run]: Statement) =>
    dataSource.transaction((inside) => killing(url, start, run(inside)));
  const tooSlow = ([, run]: Statement) =>
    dataSource.transaction(async (inside) => {
      await inside.query('SET LOCAL statement_timeout = 50');
      await run(inside);
    });
  return [
    failure('connection killed in an INSERT', '57P01', () => killed(saving)),
    failure('connection killed in a SELECT', '57P01', () => killed(finding)),
    failure('connection killed in plain SQL', '57P01', () => killed(plain)),
    failure('statement timeout of an INSERT', '57014', () => tooSlow(saving)),
    failure('statement timeout of a SELECT', '57014', () => tooSlow(finding)),
  ];
}

/** How its SQL starts, and what sends it. */
type Statement = readonly [start: string, run: (manager: EntityManager) => Promise<unknown>];

/** What `pg_stat_activity` showed of the statements that were killed. */
export const activity: string[] = [];

/** Ends the connection on which a statement sleeps that starts so. */
async function killing(url: string, start: string, work: Promise<unknown>): Promise<unknown> {
  const client = new Client({ connectionString: url });
  await client.connect();
  const sql = `SELECT query, pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE wait_event = 'PgSleep' AND starts_with(query, $1) AND datname = current_database()`;
  const end = Date.now() + 2_500;
  const settled = Promise.allSettled([work]);
  try {
    for (let killed = 0; killed === 0 && Date.now() < end;) {
      const { rows } = await client.query<{ query: string }>(sql, [start]);
      killed = rows.length;
      activity.push(...rows.map(({ query }) => query));
    }
  } finally {
    await client.end();
    await settled;
  }
  return work;
}

function conflicts(dataSource: DataSource): Failure[] {
  const { word } = newVault();
  const two = () => dataSource.manager.save([newVault({ leaves: [] }), newVault({ leaves: [] })]);
  return [
    failure('serialization failure', '40001', async () => {
      const [{ id }] = (await two()) as [Vault, Vault];
      await dataSource.transaction('SERIALIZABLE', async (manager) => {
        await manager.findOneByOrFail(Vault, { id });
        await dataSource.manager.update(Vault, { id }, { word });
        await manager.update(Vault, { id }, { word });
      });
    }),
    failure('deadlock', '40P01', async () => {
      const [one, other] = (await two()) as [Vault, Vault];
      const crossing = (first: Vault, second: Vault, met: Promise<void>, meet: () => void) =>
        dataSource.transaction(async (manager) => {
          await manager.query('SET LOCAL deadlock_timeout = 50');
          await manager.update(Vault, { id: first.id }, { word });
          meet();
          await met;
          await manager.update(Vault, { id: second.id }, { word });
        });
      let waiting = 2;
      let go = (): void => undefined;
      const met = new Promise<void>((resolve) => (go = resolve));
      const meet = (): void => {
        waiting -= 1;
        if (waiting === 0) go();
      };
      await Promise.all([crossing(one, other, met, meet), crossing(other, one, met, meet)]);
    }),
    failure('lock timeout', '55P03', async () => {
      const [{ id, pan }] = (await two()) as [Vault, Vault];
      await dataSource.transaction(async (holder) => {
        await holder.update(Vault, { id }, { word });
        await dataSource.transaction(async (waiting) => {
          await waiting.query('SET LOCAL lock_timeout = 50');
          await waiting.update(Vault, { id }, { pan });
        });
      });
    }),
  ];
}
