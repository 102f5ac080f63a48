/** The other process in start.test.ts: fails to start when the field seal and the data source are there. */
import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { keyStoreSource } from '../../src/index.js';
import { awsKms, type AwsKmsOptions } from '../../src/kms/aws.js';
import { FIELD_SEAL, FieldSealModule, withFieldSeal } from '../../src/nestjs/index.js';
import { postgresKeyStore } from '../../src/store/postgres.js';

const { databaseUrl, keyStoreUrl, ...kms } = JSON.parse(process.argv[2]!) as Pick<
  AwsKmsOptions,
  'region' | 'endpoint' | 'credentials'
> & { readonly databaseUrl: string; readonly keyStoreUrl: string };

class Root {}

const root = {
  module: Root,
  imports: [
    FieldSealModule.forRootAsync({
      useFactory: () => ({
        application: 'shop',
        environment: 'test',
        purposes: { 'card-number': {} },
        keys: keyStoreSource({
          store: postgresKeyStore({ connectionString: keyStoreUrl }),
          kms: awsKms({ ...kms, keks: { 'card-number': ['alias/card-a', 'alias/card-b'] } }),
        }),
      }),
    }),
    TypeOrmModule.forRootAsync(
      // Nest leaves its DataSource open then; what is left of fieldseal shall not keep the process alive.
      withFieldSeal({
        useFactory: () => ({ type: 'postgres', url: databaseUrl, extra: { allowExitOnIdle: true } }),
      }),
    ),
  ],
  providers: [
    {
      provide: 'luck',
      inject: [FIELD_SEAL, DataSource],
      useFactory: () => {
        throw new Error('no luck');
      },
    },
  ],
};

try {
  await NestFactory.createApplicationContext(root, { logger: false, abortOnError: false });
} catch (error) {
  console.log(`failed: ${(error as Error).message}`);
}
