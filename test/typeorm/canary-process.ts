/** Does the work of the canary suite once under every logger of TypeORM, and prints all errors, as a program would. */
import { DataSource, FileLogger, type DataSourceOptions } from 'typeorm';
import { createFieldSeal, keyStoreSource } from '../../src/index.js';
import { awsKms, type AwsKmsOptions } from '../../src/kms/aws.js';
import { postgresKeyStore } from '../../src/store/postgres.js';
import { attachFieldSeal } from '../../src/typeorm/index.js';
import { ENTITIES } from './canary-entities.js';
import { plainFailure, refusals } from './canary-refusals.js';
import { work } from './canary-work.js';

export interface CanaryProcessSetup {
  readonly url: string;
  readonly keyUrl: string;
  readonly kms: AwsKmsOptions;
  readonly logFile: string;
}

const { url, keyUrl, kms, logFile } = JSON.parse(process.argv[2]!) as CanaryProcessSetup;

const LOGGERS: Readonly<Record<string, DataSourceOptions['logger']>> = {
  'advanced-console': 'advanced-console',
  'simple-console': 'simple-console',
  'formatted-console': 'formatted-console',
  debug: 'debug',
  file: new FileLogger('all', { logPath: logFile }),
};

const seal = await createFieldSeal({
  application: 'shop',
  environment: 'test',
  purposes: { 'card-number': {}, 'personal-data': {} },
  keys: keyStoreSource({
    store: postgresKeyStore({ connectionString: keyUrl }),
    kms: awsKms(kms),
    manage: false,
  }),
});
for (const [name, logger] of Object.entries(LOGGERS)) {
  const options = { logger: logger!, logging: 'all', maxQueryExecutionTime: 0.000001, cache: true } as const;
  const dataSource = new DataSource({ type: 'postgres', url, entities: ENTITIES, ...options });
  attachFieldSeal(dataSource, seal);
  await dataSource.initialize();
  console.log(`=== ${name}`);
  await work(dataSource);
  for (const failure of [...refusals(dataSource), plainFailure(dataSource)]) {
    await failure.run().then(
      () => console.log(`missing failure: ${failure.name}`),
      (error: unknown) => console.error(error),
    );
  }
  await dataSource.destroy();
}
await seal.close();
console.log('=== end');
