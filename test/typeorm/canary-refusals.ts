/** Statements of the canary suite that are refused, each with the code of its error. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { LessThan, Raw, type DataSource, type EntityManager } from 'typeorm';
import { CONTROL, Leaf, newVault, Note, REFUSED, SEARCHED_VALUES, Vault } from './canary-entities.js';

export interface Failure {
  readonly name: string;
  /** A code of fieldseal, an SQLSTATE, or the name of an error of TypeORM's that has no code. */
  readonly code: string;
  /** Rejects. */
  readonly run: () => Promise<unknown>;
}

export const failure = (name: string, code: string, run: () => Promise<unknown>): Failure => ({
  name,
  code,
  run,
});

export function codeOf(error: unknown): unknown {
  const { code, name } = error as { readonly code?: string; readonly name?: string };
  return code ?? name;
}

/** What the database, TypeORM or fieldseal refuses at once. */
export function refusals(dataSource: DataSource): Failure[] {
  return [
    ...refusedByDatabase(dataSource),
    ...wrongTypes(dataSource),
    ...notFound(dataSource),
    ...refusedQueries(dataSource),
  ];
}

function refusedByDatabase({ manager }: DataSource): Failure[] {
  const { word } = newVault();
  const unknown = Object.assign(new Vault(), { id: randomUUID() });
  return [
    failure('unique constraint', '23505', async () => {
      const { pan } = await manager.save(newVault());
      await manager.save(newVault({ pan }));
    }),
    failure('not null', '23502', () => manager.insert(Vault, newVault({ word: null }))),
    failure('not null in an update', '23502', async () => {
      const { id, pan } = await manager.save(newVault());
      await manager.update(Vault, { id }, { pan, kind: null as never });
    }),
    failure('check constraint', '23514', () => manager.save(newVault({ kind: 'forbidden' }))),
    failure('foreign key', '23503', () => manager.insert(Leaf, { id: randomUUID(), word, vault: unknown })),
    failure('invalid uuid', '22P02', () => manager.insert(Leaf, { id: 'no uuid', word })),
    failure('value too long', '22001', () => manager.save(newVault({ kind: 'longer than ten' }))),
  ];
}

/** A value of the wrong type in every encrypted field, which fieldseal refuses. */
function wrongTypes({ manager }: DataSource): Failure[] {
  const { word, photo, extra } = newVault();
  const cycle: { inner?: unknown; word: string } = { word };
  cycle.inner = cycle;
  const wrong: [keyof Vault, unknown, code?: string][] = [
    ['word', [word]],
    ['word', `${word}\ud800`, 'ERR_SEAL_VALUE'],
    ['word', photo],
    ['word', `${word}${REFUSED}`, 'ERR_SEAL_VALUE'],
    ['pan', { pan: word }],
    ['amount', word],
    ['amount', Number.NaN, 'ERR_SEAL_VALUE'],
    ['big', word],
    ['born', word],
    ['born', new Date(word), 'ERR_SEAL_VALUE'],
    ['flag', word],
    ['extra', cycle, 'ERR_SEAL_VALUE'],
    ['extra', { word, big: 1n }, 'ERR_SEAL_VALUE'],
    ['extra', { toJSON: () => assert.fail(word) }, 'ERR_SEAL_VALUE'],
    ['photo', word],
    ['padded', extra],
  ];
  return wrong.flatMap(([field, value, code = 'ERR_SEAL_TYPE']) => [
    failure(`insert of a wrong ${field}`, code, () => manager.insert(Vault, newVault({ [field]: value }))),
    failure(`save of a wrong ${field}`, code, () => manager.save(newVault({ [field]: value }))),
  ]);
}

function notFound(dataSource: DataSource): Failure[] {
  const where = SEARCHED_VALUES;
  const forms = (name: string, manager: EntityManager): Failure[] => [
    failure(`${name}.findOneOrFail`, 'EntityNotFoundError', () => manager.findOneOrFail(Vault, { where })),
    failure(`${name}.findOneByOrFail`, 'EntityNotFoundError', () => manager.findOneByOrFail(Vault, where)),
    failure(`${name} repository.findOneOrFail`, 'EntityNotFoundError', () =>
      manager.getRepository(Vault).findOneOrFail({ where }),
    ),
    failure(`${name} repository.findOneByOrFail`, 'EntityNotFoundError', () =>
      manager.getRepository(Vault).findOneByOrFail(where),
    ),
    failure(`${name} relation`, 'EntityNotFoundError', () =>
      manager.findOneByOrFail(Vault, { leaves: { word: where.word } }),
    ),
    failure(`${name}.createQueryBuilder`, 'EntityNotFoundError', () =>
      manager.createQueryBuilder(Vault, 'vault').where(where).getOneOrFail(),
    ),
    failure(`${name} repository.createQueryBuilder`, 'EntityNotFoundError', () =>
      manager.getRepository(Vault).createQueryBuilder().setFindOptions({ where }).getOneOrFail(),
    ),
    failure(`${name} extended repository`, 'EntityNotFoundError', () =>
      manager.withRepository(dataSource.getRepository(Vault).extend({})).findOneByOrFail(where),
    ),
  ];
  return [
    ...forms('manager', dataSource.manager),
    failure('manager of a transaction', 'EntityNotFoundError', () =>
      dataSource.transaction((inside) => inside.findOneByOrFail(Vault, where)),
    ),
    failure('manager of a query runner', 'EntityNotFoundError', async () => {
      const runner = dataSource.createQueryRunner();
      try {
        await runner.manager.findOneOrFail(Vault, { where });
      } finally {
        await runner.release();
      }
    }),
  ];
}

function refusedQueries(dataSource: DataSource): Failure[] {
  const { manager } = dataSource;
  const { word, padded } = newVault();
  const builder = () => dataSource.createQueryBuilder(Vault, 'vault');
  return [
    failure('LessThan', 'ERR_QUERY_UNSUPPORTED', () => manager.findBy(Vault, { word: LessThan(word) })),
    failure('Raw', 'ERR_QUERY_UNSUPPORTED', () =>
      manager.findBy(Vault, { word: Raw((alias) => `${alias} = '${word}'`) }),
    ),
    failure('no blind index', 'ERR_QUERY_NO_BLIND_INDEX', () => manager.findBy(Vault, { padded })),
    failure('a wrong type searched', 'ERR_SEAL_TYPE', () => manager.findBy(Vault, { amount: word as never })),
    failure('a word that the application refuses', 'ERR_SEAL_VALUE', () =>
      manager.findBy(Vault, { word: `${word}${REFUSED}` }),
    ),
    failure('where as SQL', 'ERR_QUERY_UNSUPPORTED', () =>
      builder().where('vault.word = :word', { word }).getMany(),
    ),
    failure('where as SQL with the value in it', 'ERR_QUERY_UNSUPPORTED', () =>
      builder().where(`vault.word = '${word}'`).getMany(),
    ),
    failure('update by a wrong search', 'ERR_QUERY_NO_BLIND_INDEX', () =>
      manager.update(Vault, { padded }, { word }),
    ),
    failure('SQL expression as value', 'ERR_QUERY_UNSUPPORTED', () =>
      manager.insert(Vault, newVault({ word: () => `'${word}'` })),
    ),
    failure('bound field without its row', 'ERR_SEAL_BINDING', () =>
      manager.update(Vault, { word }, { pan: word }),
    ),
    failure('table by its name', 'ERR_QUERY_UNSUPPORTED', () =>
      dataSource.createQueryBuilder().insert().into('public.vaults').values({ word }).execute(),
    ),
  ];
}

/** The same kind of errors on plain rows, for the control. */
export function plainFailure({ manager }: DataSource): Failure {
  const note = { id: 7, text: CONTROL };
  return failure('unique constraint in plain', '23505', async () => {
    await manager.upsert(Note, note, ['id']);
    await manager.insert(Note, { id: 8, text: CONTROL });
  });
}
