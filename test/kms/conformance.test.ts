import { describe, it } from 'vitest';
import { awsKms } from '../../src/kms/aws.js';
import { kekProviderConformance } from '../../src/testing/kek-provider-conformance.js';
import type { KekProviderFixture } from '../../src/testing/kek-provider-conformance.js';
import { localKeks } from '../../src/kms/local/local-keks.js';
import { emulator, optionsFor } from './kms.js';
import { keyFile } from './local/key-files.js';

async function makeAws(): Promise<KekProviderFixture> {
  const kms = await emulator({ createKeys: ['alias/card-a', 'alias/card-b', 'alias/pii'] });
  const keks = { 'card-number': ['alias/card-a', 'alias/card-b'], 'personal-data': ['alias/pii'] };
  return {
    provider: awsKms({ ...optionsFor(kms), keks }),
    purpose: 'card-number',
    otherPurpose: 'personal-data',
    close: () => kms.close(),
  };
}

async function makeLocal(): Promise<KekProviderFixture> {
  const [a, b, pii] = [await keyFile(), await keyFile(), await keyFile()];
  return {
    provider: localKeks({ keks: { 'card-number': [a.path, b.path], 'personal-data': [pii.path] } }),
    purpose: 'card-number',
    otherPurpose: 'personal-data',
    close: () => Promise.resolve(),
  };
}

describe('awsKms conforms: a KEK provider', () => {
  for (const behaviour of kekProviderConformance) it(behaviour.name, () => behaviour.run(makeAws));
});

describe('localKeks conforms: a KEK provider', () => {
  for (const behaviour of kekProviderConformance) it(behaviour.name, () => behaviour.run(makeLocal));
});
