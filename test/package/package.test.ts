/** The packed package in ESM and CommonJS projects, the program of the README, and TypeORM's own migration command. */
import { transpileModule, ModuleKind, ScriptTarget } from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startKmsEmulator } from '../../src/kms/emulator/emulator.js';
import { migrateKeyStore } from '../../src/store/postgres.js';
import { recordKey } from '../canary.js';
import { freshDatabase } from '../database.js';
import { packProject, readRepositoryFile, type PackedProject } from './packed-project.js';

let project: PackedProject;
beforeAll(async () => {
  project = await packProject();
}, 180_000);
afterAll(() => project.remove());

const PROGRAM = `
const seen = [createFieldSeal, keyStoreSource, FieldSealError, isFieldSealError, awsKms, localKeks, postgresKeyStore, migrateKeyStore,
  attachFieldSeal, Encrypted, openRaw, FieldSealModule, InjectFieldSeal, withFieldSeal, aesSiv, memoryKeyStore, startKmsEmulator].map((value) => typeof value);
if (seen.some((type) => type !== 'function')) throw new Error(seen.join());
const siv = aesSiv(Buffer.alloc(64, 1));
const output: Uint8Array = siv.seal([Buffer.from('context')], Buffer.from('value'));
if (Buffer.from(siv.open([Buffer.from('context')], output)).toString() !== 'value') throw new Error('no round trip');
console.log('ok');
`;

const NAMES = [
  ['fieldseal', 'createFieldSeal, keyStoreSource, FieldSealError, isFieldSealError'],
  ['fieldseal/aws-kms', 'awsKms'],
  ['fieldseal/local-keks', 'localKeks'],
  ['fieldseal/postgres', 'postgresKeyStore, migrateKeyStore'],
  ['fieldseal/typeorm', 'attachFieldSeal, Encrypted, openRaw'],
  ['fieldseal/nestjs', 'FieldSealModule, InjectFieldSeal, withFieldSeal'],
  ['fieldseal/testing', 'aesSiv, memoryKeyStore, startKmsEmulator'],
] as const;

describe('the packed package', () => {
  it('holds dist, docs and the files that a user reads, nothing else', () => {
    const strange = project.files.filter(
      (path) =>
        !/^(dist\/.*\.(mjs|cjs|d\.mts|d\.cts)|docs\/[a-z-]+\.md|(README|CHANGELOG|SECURITY)\.md|LICENSE|package\.json)$/u.test(
          path,
        ),
    );
    expect(strange).toEqual([]);
    expect(project.files).toContain('dist/index.mjs');
  });

  it.each(['esm', 'cjs'] as const)('type-checks and runs in a project of kind %s', async (kind) => {
    const imports = NAMES.map(([path, names]) => `import { ${names} } from '${path}';`).join('\n');
    await project.write(
      `${kind}/package.json`,
      JSON.stringify({ type: kind === 'esm' ? 'module' : 'commonjs' }),
    );
    await project.write(`${kind}/main.ts`, imports + PROGRAM);
    const strict = [
      '--strict',
      '--exactOptionalPropertyTypes',
      '--noUncheckedIndexedAccess',
      '--target',
      'es2022',
    ];
    await project.tsc(`${kind}/main.ts`, '--module', 'nodenext', '--types', 'node', ...strict);
    const { stdout } = await project.node([`${kind}/main.js`]);
    expect(stdout).toBe('ok\n');
  });

  it('works as an ESM and a CommonJS copy in one process', async () => {
    await project.write(
      'both.mjs',
      `import { createRequire } from 'node:module';
       import * as esm from 'fieldseal';
       const cjs = createRequire(import.meta.url)('fieldseal');
       const error = new cjs.QueryError('ERR_QUERY_UNSUPPORTED', 'x');
       console.log(esm.isFieldSealError(error), error instanceof esm.QueryError);`,
    );
    expect((await project.node(['both.mjs'])).stdout).toBe('true false\n');
  });

  it('does not load the helpers for tests in an application', async () => {
    await project.write(
      'loaded.cjs',
      `for (const name of ['fieldseal', 'fieldseal/typeorm', 'fieldseal/aws-kms', 'fieldseal/local-keks', 'fieldseal/postgres']) require(name);
       console.log(Object.keys(require.cache).filter((path) => /testing|emulator/.test(path)).join());`,
    );
    expect((await project.node(['loaded.cjs'])).stdout).toBe('\n');
  });

  it('has a command that prints its help and its migrations', async () => {
    const cli = 'node_modules/fieldseal/dist/cli/main.mjs';
    expect((await project.node([cli, '--help'])).stdout).toContain('dev-kms');
    expect((await project.node([cli, 'store', 'migrate', '--print'])).stdout).toMatch(/CREATE TABLE/u);
  });
});

describe('the README', () => {
  it.each([
    ['as it stands', 'typeorm'],
    ['with TypeORM 0.3', 'typeorm-0.3.31'],
  ])('has a program that runs %s', async (_, typeorm) => {
    await project.use('typeorm', typeorm);
    const [kms, database, keys] = await Promise.all([
      startKmsEmulator({ createKeys: ['alias/card-a', 'alias/card-b'], unsafeOnPlaintext: recordKey }),
      freshDatabase(),
      freshDatabase(),
    ]);
    try {
      await migrateKeyStore({ connectionString: keys.url });
      await database.query(
        'CREATE TABLE card (id uuid PRIMARY KEY, pan bytea NOT NULL, pan_key uuid NOT NULL, pan_bidx bytea NOT NULL UNIQUE)',
      );
      const program = /```ts\n([\s\S]*?)```/u.exec(await readRepositoryFile('README.md'))![1]!;
      const { accessKeyId, secretAccessKey } = kms.credentials();
      const env = {
        KEY_STORE_URL: keys.url,
        DATABASE_URL: database.url,
        AWS_ENDPOINT_URL_KMS: kms.endpoint,
        AWS_ACCESS_KEY_ID: accessKeyId,
        AWS_SECRET_ACCESS_KEY: secretAccessKey,
      };
      await project.write('readme.mjs', compile(program));
      await project.node(['readme.mjs'], env);
      const [row] = await database.query('SELECT pan FROM card');
      expect((row?.pan as Buffer)[0]).toBe(0xf5);

      // A field seal that somebody forgot to close does not keep the process alive.
      expect(program).toContain('await seal.close();');
      await database.query('DELETE FROM card');
      await project.write('left-open.mjs', compile(program.replace('await seal.close();', '')));
      await project.node(['left-open.mjs'], env);
    } finally {
      await project.use('typeorm', 'typeorm');
      await Promise.all([kms.close(), database.drop(), keys.drop()]);
    }
  });
});

describe('13 migration:generate', () => {
  it.each(["'schema-only'", 'nothing'])(
    'sees the right columns, and no changes the second time, attached to %s',
    async (attached) => {
      const database = await freshDatabase();
      try {
        const folder = `migrations-${attached.replaceAll("'", '')}`;
        await project.write(
          `${folder}/data-source.mjs`,
          compile(`
          import 'reflect-metadata';
          import { DataSource, Entity, PrimaryColumn } from 'typeorm';
          import { attachFieldSeal, Encrypted } from 'fieldseal/typeorm';
          @Entity('cards')
          class Card {
            @PrimaryColumn('uuid') id!: string;
            @Encrypted({ purpose: 'card-number', blindIndex: { unique: true } }) pan!: string;
            @Encrypted({ purpose: 'personal-data', nullable: true, name: 'owner_cell' }) owner!: string | null;
          }
          const plain = new DataSource({ type: 'postgres', url: process.env.DATABASE_URL, entities: [Card],
            migrations: [process.env.MIGRATIONS] });
          export const dataSource = ${attached === 'nothing' ? 'plain' : `attachFieldSeal(plain, ${attached})`};
        `),
        );
        const env = { DATABASE_URL: database.url, MIGRATIONS: `${project.folder}/${folder}/*-Shop.js` };
        const typeorm = (...args: string[]) =>
          project.node(['node_modules/typeorm/cli.js', ...args, '-d', `${folder}/data-source.mjs`], env);
        await typeorm('migration:generate', `${folder}/Shop`, '-o', '--esm');
        await typeorm('migration:run');
        await expect(typeorm('migration:generate', `${folder}/Again`, '-o', '--esm')).rejects.toMatchObject({
          stdout: expect.stringMatching(/No changes in database schema were found/u) as string,
        });
        const columns = await database.query(
          `SELECT column_name AS name, data_type AS type, is_nullable AS nullable FROM information_schema.columns
         WHERE table_name = 'cards' ORDER BY column_name`,
        );
        expect(columns).toEqual([
          { name: 'id', type: 'uuid', nullable: 'NO' },
          { name: 'owner_cell', type: 'bytea', nullable: 'YES' },
          { name: 'owner_cell_key', type: 'uuid', nullable: 'YES' },
          { name: 'pan', type: 'bytea', nullable: 'NO' },
          { name: 'pan_bidx', type: 'bytea', nullable: 'NO' },
          { name: 'pan_key', type: 'uuid', nullable: 'NO' },
        ]);
        const indexes = await database.query(
          "SELECT indexdef FROM pg_indexes WHERE tablename = 'cards' ORDER BY indexdef",
        );
        expect(indexes.map(({ indexdef }) => String(indexdef).replace(/ INDEX "[^"]*"/u, ''))).toEqual([
          expect.stringMatching(/^CREATE ON public.cards USING btree \(owner_cell_key\)/u),
          expect.stringMatching(/^CREATE ON public.cards USING btree \(pan_key\)/u),
          expect.stringMatching(/^CREATE UNIQUE ON public.cards USING btree \(pan_bidx\)/u),
          expect.stringMatching(/^CREATE UNIQUE .*\(id\)/u),
        ] as unknown[]);
      } finally {
        await database.drop();
      }
    },
    60_000,
  );
});

/** A TypeScript program as JavaScript, decorators and their metadata included. */
function compile(program: string): string {
  return transpileModule(program, {
    compilerOptions: {
      module: ModuleKind.ESNext,
      target: ScriptTarget.ES2022,
      experimentalDecorators: true,
      emitDecoratorMetadata: true,
      useDefineForClassFields: false,
    },
  }).outputText;
}
