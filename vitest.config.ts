import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { hasTestMariadb } from '@fieldseal/test-support';
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';

/** What all projects have in common. */
const shared = {
  // Class fields are assigned, not defined, as TypeORM's own documentation asks for.
  oxc: {
    decorator: { legacy: true, emitDecoratorMetadata: true },
    assumptions: { setPublicClassFields: true },
  },
};
const settings = {
  env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true', TZ: 'UTC' },
  testTimeout: 30_000,
  hookTimeout: 60_000,
  // The files of a worker share their modules: loading TypeORM and the library takes most files longer than their tests. So a
  // file puts back what it changes in them.
  isolate: false,
};

/** The tests of the TypeORM adapter once more, with another TypeORM in its place or another database below it. */
function adapter(
  name: string,
  typeorm: '1.1.1' | '0.3.31' | '0.3.20',
  database: 'postgres' | 'mariadb' | 'sqljs',
  more: TestProjectInlineConfiguration['test'] = {},
): TestProjectInlineConfiguration {
  return {
    ...shared,
    resolve: {
      alias: [{ find: /^typeorm$/, replacement: typeorm === '1.1.1' ? 'typeorm' : `typeorm-${typeorm}` }],
    },
    test: {
      ...settings,
      name,
      include: ['test/typeorm/**/*.test.ts'],
      provide: { database, typeorm, pg: 'pg' },
      ...more,
    },
  };
}

/**
 * The key store, and what of the adapter reaches the driver in ways of its own, with the oldest pg of the peer range below
 * both: how values are bound and bytes come back, long lists of parameters, streams, connections of a transaction, of a pool
 * of one, or of a library; errors of the server. Everything else sends such statements again. Left out are `last-net`, which
 * names its drivers itself, so runs with this one in every project, and what works in processes of its own, which load the
 * newest pg.
 */
const oldestPg: TestProjectInlineConfiguration = {
  ...shared,
  resolve: { alias: [{ find: /^pg$/, replacement: 'pg-8.11.0' }] },
  test: {
    ...settings,
    name: 'pg-8.11.0',
    include: [
      'test/store/**/*.test.ts',
      ...[
        'ambient-transactions',
        'bound-update',
        'cache',
        'cells-in-statements',
        'concurrency-pools',
        'drivers',
        'numbered-values',
        'parameter-limit',
        'raw',
        'returning',
        'save',
        'transaction-end',
        'types',
        'upsert',
        'write',
      ].map((name) => `test/typeorm/${name}.test.ts`),
    ],
    provide: { database: 'postgres', typeorm: '1.1.1', pg: 'pg-8.11.0' },
  },
};

const mariadb = hasTestMariadb()
  ? { globalSetup: ['test/mariadb-setup.ts'] }
  : { runner: './test/skip-all-runner.ts' };

/** The tests of what `awsKms` asks the AWS SDK for once more, with the oldest that the peer range takes. */
const oldestSdk: TestProjectInlineConfiguration = {
  ...shared,
  resolve: {
    alias: [
      {
        find: /^@aws-sdk\/client-kms$/,
        // As Node loads it: the file, since Vite would take the ES modules of the package, which Node does not read as such.
        replacement: fileURLToPath(
          new URL('test/kms/oldest-sdk/node_modules/@aws-sdk/client-kms/dist-cjs/index.js', import.meta.url),
        ),
      },
    ],
  },
  test: {
    ...settings,
    name: 'oldest-aws-sdk',
    include: [
      'test/kms/{sdk-version,aws,aws-{bodies,envelopes,failures,macs,write-only},unreachable-keks}.test.ts',
    ],
    globalSetup: ['test/kms/oldest-sdk/setup.ts'],
    provide: { awsSdk: 'oldest' },
  },
};

export default defineConfig({
  test: {
    // Most tests wait for a database, a KMS or a clock, so there are more workers than processors.
    maxWorkers: Math.ceil(availableParallelism() * 1.5),
    globalSetup: ['test/global-setup.ts'],
    projects: [
      {
        ...shared,
        test: {
          ...settings,
          name: 'default',
          include: ['test/**/*.test.ts'],
          provide: { database: 'postgres', typeorm: '1.1.1', pg: 'pg' },
        },
      },
      adapter('typeorm-0.3.31', '0.3.31', 'postgres'),
      adapter('typeorm-0.3.20', '0.3.20', 'postgres'),
      adapter('mariadb', '1.1.1', 'mariadb', mariadb),
      adapter('sqljs', '1.1.1', 'sqljs'),
      oldestSdk,
      oldestPg,
    ],
  },
});
