/** Programs for the pages that move a column: each is one release of an application, over the entity that the page shows. */
import { startKmsEmulator } from '../../src/kms/emulator/emulator.js';
import { migrateKeyStore } from '../../src/store/postgres.js';
import { recordKey } from '../canary.js';
import { freshDatabase, type FreshDatabase } from '../database.js';
import { packProject, type PackedProject } from '../package/packed-project.js';
import { blocks, readDocument } from './document.js';

export interface ReleasesOptions {
  /** Documents whose programs are written into the project. */
  readonly pages: readonly string[];
  readonly entity: string;
  readonly purpose: string;
  /** The migration of the last step: its class and its file. */
  readonly migration: readonly [name: string, file: string];
  /** For each folder with an entity: the two properties that are written together, and what the program can do. */
  readonly releases: Readonly<Record<string, { both?: string; work: string }>>;
  /** Another TypeORM of this checkout in the place of the installed one. */
  readonly typeorm?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Releases {
  readonly project: PackedProject;
  readonly shop: FreshDatabase;
  /** Starts the program of a release once; what each work gives, which is written as `name` or `name=argument`. */
  run(release: string, ...works: readonly string[]): Promise<unknown[]>;
  close(): Promise<void>;
}

/** Opens an attached DataSource over the entity of a release and prints what each work gives that is asked for. */
function programOf(
  release: string,
  { entity, purpose, migration: [migration, file], releases }: ReleasesOptions,
): string {
  const { both, work } = releases[release]!;
  const name = entity.toLowerCase();
  return `
import { existsSync } from 'node:fs';
import { createFieldSeal, keyStoreSource } from 'fieldseal';
import { awsKms } from 'fieldseal/aws-kms';
import { postgresKeyStore } from 'fieldseal/postgres';
import { attachFieldSeal } from 'fieldseal/typeorm';
import { DataSource, MoreThan } from 'typeorm';
import { ${entity} } from './${release}/${name}.js';
import { copyOver } from './copy-over.js';
import { ${migration} } from './${file}.js';
import { writeBoth } from './write-both.js';

const seal = await createFieldSeal({
  application: 'shop',
  environment: 'test',
  purposes: { '${purpose}': {} },
  keys: keyStoreSource({
    store: postgresKeyStore({ connectionString: process.env.KEY_STORE_URL! }),
    kms: awsKms({ region: 'eu-central-1', keks: { '${purpose}': ['alias/kek-a', 'alias/kek-b'] } }),
  }),
});
const dataSource = await attachFieldSeal(
  new DataSource({
    type: 'postgres',
    url: process.env.DATABASE_URL!,
    installExtensions: false,
    entities: [${entity}],
    subscribers: [${both === undefined ? '' : `writeBoth(${entity}, ${both})`}],
    migrations: [${migration}],
  }),
  seal,
).initialize();
const rows = dataSource.getRepository(${entity});
const copy = (from: string, to: string, mode: 'compare' | 'write') => copyOver(dataSource, ${entity}, from, to, mode);
const isStopped = () => existsSync(process.env.STOP_FILE!);
const WORK: Record<string, (argument?: string) => Promise<unknown>> = {
  changes: async () => (await dataSource.driver.createSchemaBuilder().log()).upQueries.map(({ query }) => query),
  migrate: () => dataSource.runMigrations({ transaction: 'each' }),
  ${work}
};
const results: unknown[] = [];
for (const [name, argument] of process.argv.slice(2).map((work) => work.split(/=(.*)/su))) {
  results.push((await WORK[name!]!(argument)) ?? null);
}
console.log(JSON.stringify(results));
await dataSource.destroy();
await seal.close();
`;
}

export async function startReleases(options: ReleasesOptions): Promise<Releases> {
  const [project, shop, keys, kms] = await Promise.all([
    packProject(),
    freshDatabase(),
    freshDatabase(),
    startKmsEmulator({ createKeys: ['alias/kek-a', 'alias/kek-b'], unsafeOnPlaintext: recordKey }),
  ]);
  await migrateKeyStore({ connectionString: keys.url });
  if (options.typeorm !== undefined) await project.use('typeorm', options.typeorm);
  const [, tsconfig] = /```jsonc\n([\s\S]*?)```/u.exec(readDocument('getting-started.md'))!;
  await project.write('tsconfig.json', tsconfig!);
  for (const program of options.pages.flatMap((page) => blocks(readDocument(page), 'ts'))) {
    const [, path] = /^\/\/ (\S+)\n/u.exec(program)!;
    await project.write(path!, program);
  }
  for (const release of Object.keys(options.releases)) {
    await project.write(`src/${release}.ts`, programOf(release, options));
  }
  await project.tsc();
  const { accessKeyId, secretAccessKey } = kms.credentials();
  const env = {
    DATABASE_URL: shop.url,
    KEY_STORE_URL: keys.url,
    AWS_ENDPOINT_URL_KMS: kms.endpoint,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    STOP_FILE: `${project.folder}/stop`,
    ...options.env,
  };
  return {
    project,
    shop,
    run: async (release, ...works) =>
      JSON.parse((await project.node([`dist/${release}.js`, ...works], env)).stdout) as unknown[],
    close: async () => {
      await Promise.all([project.remove(), shop.drop(), keys.drop(), kms.close()]);
    },
  };
}

/** Each statement for itself, as in a migration outside a transaction. */
export async function apply(shop: FreshDatabase, statements: readonly string[]): Promise<void> {
  for (const statement of statements) await shop.query(statement);
}
