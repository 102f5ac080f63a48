import { describe, it } from 'vitest';
import { awsKms } from '../../src/kms/aws.js';
import { kekProviderConformance } from '../../src/testing/kek-provider-conformance.js';
import type { KekProviderFixture } from '../../src/testing/kek-provider-conformance.js';
import { emulator, optionsFor } from './kms.js';

async function make(): Promise<KekProviderFixture> {
  const kms = await emulator({ createKeys: ['alias/card-a', 'alias/card-b', 'alias/pii'] });
  const keks = { 'card-number': ['alias/card-a', 'alias/card-b'], 'personal-data': ['alias/pii'] };
  return {
    provider: awsKms({ ...optionsFor(kms), keks }),
    purpose: 'card-number',
    otherPurpose: 'personal-data',
    close: () => kms.close(),
  };
}

describe('awsKms conforms: a KEK provider', () => {
  for (const behaviour of kekProviderConformance) it(behaviour.name, () => behaviour.run(make));
});
