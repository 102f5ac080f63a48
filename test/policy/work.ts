/** What each tier does all day: everything that its documents must allow. */
import {
  CancelKeyDeletionCommand,
  CreateAliasCommand,
  DeleteAliasCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  DisableKeyRotationCommand,
  EnableKeyCommand,
  EnableKeyRotationCommand,
  GetKeyPolicyCommand,
  GetKeyRotationStatusCommand,
  ListResourceTagsCommand,
  PutKeyPolicyCommand,
  RotateKeyOnDemandCommand,
  ScheduleKeyDeletionCommand,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateAliasCommand,
  UpdateKeyDescriptionCommand,
  type KMSClient,
} from '@aws-sdk/client-kms';
import { awsKms } from '../../src/kms/aws.js';
import type { KmsEmulator } from '../../src/kms/emulator/emulator.js';
import type { Tier } from '../../src/policy/settings.js';
import { dataKey, decrypt, generateMac, inCell, inStore, keyPair, reEncrypt, type Wrapped } from './calls.js';
import { OPTIONS, STORED, tiersOf, type Keys } from './configuration.js';

/** Wraps that were made before, when nobody was stopped. */
export interface Wraps {
  readonly cells: readonly Wrapped[];
  readonly stored: readonly Wrapped[];
}

export interface Place {
  readonly kms: KmsEmulator;
  readonly sdk: KMSClient;
  readonly keys: Keys;
  readonly wraps: Wraps;
}

export async function makeWraps(sdk: KMSClient, keys: Keys): Promise<Wraps> {
  const { cardA, cardB, personal, reportsA, reportsB, reportsOld } = keys;
  return {
    cells: await Promise.all([cardA, cardB].map((kek) => dataKey(sdk, kek, inCell('card-number')))),
    stored: await Promise.all([
      ...['data', 'index', 'store'].map((kind) => dataKey(sdk, reportsA, inStore('reports', kind))),
      ...[reportsB, reportsOld].map((kek) => dataKey(sdk, kek, inStore('reports', 'data'))),
      ...['index', 'store'].map((kind) => dataKey(sdk, personal, inStore('personal-data', kind))),
      keyPair(sdk, personal, inStore('personal-data', 'pair', { delivery: 'sealed' })),
    ]),
  };
}

export const WORK: Readonly<Record<Tier, (place: Place, tier: Tier) => Promise<void>>> = {
  app: async (place, tier) => {
    const { sdk, keys, wraps } = place;
    const { keks, openKeks } = tiersOf(keys);
    await start(place, tier, keks, openKeks);
    for (const kek of [keys.cardA, keys.cardB]) await dataKey(sdk, kek, inCell('card-number'));
    await generateMac(sdk, keys.mac);
    await makeStored(place);
    for (const wrap of [...wraps.cells, ...wraps.stored]) await decrypt(sdk, wrap);
  },
  web: async (place, tier) => {
    const { cardA, cardB } = place.keys;
    await writeOnly(place, tier, 'card-number', [cardA, cardB]);
  },
  payment: async (place, tier) => {
    const { sdk, keys, wraps } = place;
    const { keks, openKeks } = tiersOf(keys);
    await start(place, tier, keks, openKeks);
    for (const wrap of [...wraps.cells, ...wraps.stored]) await decrypt(sdk, wrap);
  },
  'key-service': async (place, tier) => {
    const { sdk, wraps } = place;
    await startStored(place, tier);
    await makeStored(place);
    for (const wrap of wraps.stored) await decrypt(sdk, wrap);
  },
  rewrap: async (place, tier) => {
    const { sdk, keys, wraps } = place;
    await startStored(place, tier);
    for (const wrap of wraps.stored) {
      const own = wrap.key === keys.personal ? [keys.personal] : [keys.reportsA, keys.reportsB];
      for (const kek of own) await reEncrypt(sdk, wrap, kek);
    }
  },
  administrators: async ({ sdk, keys }) => {
    const { cardA, cardB, personal, reportsA, reportsB, reportsOld, mac } = keys;
    await manage(sdk, mac, mac);
    for (const kek of [cardA, cardB, personal, reportsA, reportsB, reportsOld]) {
      await manage(sdk, kek, keys.reportsOld);
      await sdk.send(new EnableKeyRotationCommand({ KeyId: kek }));
      await sdk.send(new GetKeyRotationStatusCommand({ KeyId: kek }));
      await sdk.send(new RotateKeyOnDemandCommand({ KeyId: kek }));
      await sdk.send(new DisableKeyRotationCommand({ KeyId: kek }));
    }
  },
};

/** Keys of every kind that the key store holds. */
async function makeStored({ sdk, keys }: Place): Promise<void> {
  for (const kek of [keys.reportsA, keys.reportsB]) {
    for (const kind of ['data', 'index', 'store']) await dataKey(sdk, kek, inStore('reports', kind));
  }
  for (const kind of ['index', 'store']) {
    await dataKey(sdk, keys.personal, inStore('personal-data', kind));
  }
  await keyPair(sdk, keys.personal, inStore('personal-data', 'pair', { delivery: 'sealed' }));
}

async function manage(sdk: KMSClient, KeyId: string, otherKey: string): Promise<void> {
  const AliasName = 'alias/moved';
  await sdk.send(new DescribeKeyCommand({ KeyId }));
  await sdk.send(new UpdateKeyDescriptionCommand({ KeyId, Description: 'cards' }));
  const { Policy } = await sdk.send(new GetKeyPolicyCommand({ KeyId }));
  await sdk.send(new PutKeyPolicyCommand({ KeyId, Policy }));
  await sdk.send(new CreateAliasCommand({ AliasName, TargetKeyId: KeyId }));
  await sdk.send(new UpdateAliasCommand({ AliasName, TargetKeyId: otherKey }));
  await sdk.send(new UpdateAliasCommand({ AliasName, TargetKeyId: KeyId }));
  await sdk.send(new DeleteAliasCommand({ AliasName }));
  await sdk.send(new TagResourceCommand({ KeyId, Tags: [{ TagKey: 'pci', TagValue: 'yes' }] }));
  await sdk.send(new ListResourceTagsCommand({ KeyId }));
  await sdk.send(new UntagResourceCommand({ KeyId, TagKeys: ['pci'] }));
  await sdk.send(new DisableKeyCommand({ KeyId }));
  await sdk.send(new ScheduleKeyDeletionCommand({ KeyId }));
  await sdk.send(new CancelKeyDeletionCommand({ KeyId }));
  await sdk.send(new EnableKeyCommand({ KeyId }));
}

/** The start of the real provider in a process that only writes, and its work. */
async function writeOnly(
  { kms, keys }: Place,
  tier: Tier,
  purpose: string,
  keks: readonly string[],
): Promise<void> {
  const { region, endpoint } = kms;
  const { application, environment } = OPTIONS;
  const scope = { application, environment, purpose };
  const provider = awsKms({
    region,
    endpoint,
    credentials: kms.credentials(tier),
    keks: { [purpose]: keks },
    macKeys: tiersOf(keys).macKeys,
  });
  try {
    await provider.startWriteOnly([scope], () => undefined);
    if ((await provider.notDenied(scope)).length > 0)
      throw new Error('The web tier may open what it writes.');
    for (const kek of keks) await provider.generateEnvelope(kek, scope);
    await provider.mac!(purpose, 1, Buffer.from('a value'));
  } finally {
    await provider.close();
  }
}

async function startStored(place: Place, tier: Tier): Promise<void> {
  const { keks, openKeks } = tiersOf(place.keys);
  await start(place, tier, Object.fromEntries(STORED.map((purpose) => [purpose, keks[purpose]])), openKeks);
}

/** The start of the real provider, with this tier's credentials. */
async function start(
  { kms }: Place,
  tier: Tier,
  keks: Readonly<Record<string, readonly string[]>>,
  openKeks: Readonly<Record<string, readonly string[]>> = {},
): Promise<void> {
  const { region, endpoint } = kms;
  const provider = awsKms({ region, endpoint, credentials: kms.credentials(tier), keks, openKeks });
  try {
    await provider.start(Object.keys(keks), () => undefined);
  } finally {
    await provider.close();
  }
}
