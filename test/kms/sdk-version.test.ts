/** Which AWS SDK the tests of this folder run with: the newest that was tried, and in a project of its own the oldest. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { expect, it } from 'vitest';
import { loadAwsSdk } from '../../src/kms/aws-calls.js';
import { isOldestSdk } from './kms.js';

const ROOT = new URL(isOldestSdk ? 'oldest-sdk/' : '../../', import.meta.url);

interface Pinned {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

const read = (path: string): unknown => JSON.parse(readFileSync(new URL(path, ROOT), 'utf8'));

it('awsKms loads the AWS SDK that this project is for', async () => {
  const { KMSClient } = createRequire(new URL('package.json', ROOT))('@aws-sdk/client-kms') as {
    readonly KMSClient: unknown;
  };
  // Not by what the SDK says of itself, which in some releases is the version of the one before.
  expect((await loadAwsSdk()).KMSClient).toBe(KMSClient);
  const { dependencies, devDependencies } = read('package.json') as Pinned;
  const pinned = { ...dependencies, ...devDependencies }['@aws-sdk/client-kms'];
  expect(read('node_modules/@aws-sdk/client-kms/package.json')).toMatchObject({ version: pinned });
});
