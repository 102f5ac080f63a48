/**
 * What each tier may do with which key of the KMS: the one table behind key policies and identity policies.
 * Actions are exact. `kms:GenerateDataKey*` would grant key pairs with their private key, `kms:ReEncrypt*` both ways.
 * https://docs.aws.amazon.com/kms/latest/developerguide/kms-api-permissions-reference.html
 */
import { optionError } from '../keys/options.js';
import { KEY_MANAGEMENT, ROTATION } from './administration.js';
import { inCell, inStore, type Condition } from './encryption-context.js';
import type { PolicySettings, Purpose, Tier } from './settings.js';

/** A statement of a policy before it is known whether it stands in a key's policy or a principal's. */
export interface Right {
  readonly tier: Tier;
  /** Letters and digits, as IAM wants them; unique within a document. */
  readonly sid: string;
  readonly actions: readonly string[];
  /** ARNs of keys. */
  readonly keys: readonly string[];
  readonly condition?: Condition;
}

type PurposeRight = Omit<Right, 'tier'>;

/** Rights of one tier on the keys of one purpose. */
type RightsOfPurpose = (settings: PolicySettings, purpose: Purpose) => readonly PurposeRight[];

/** What an application does as a whole, in one process or divided among several. */
const WORK: Readonly<Record<'web' | 'payment' | 'key-service', RightsOfPurpose>> = {
  // Sealed delivery needs no KMS to write: public keys suffice.
  web: (settings, purpose) => [
    ...when(purpose.delivery === 'envelope', {
      sid: 'Seal',
      actions: ['kms:GenerateDataKey'],
      keys: purpose.keks,
      condition: inCell(settings, purpose),
    }),
    ...when(purpose.delivery !== 'pool', ...blindIndex(purpose)),
  ],
  payment: (settings, purpose) => [
    ...when(purpose.opensEnvelopes, {
      sid: 'OpenCells',
      actions: ['kms:Decrypt'],
      keys: purpose.openingKeks,
      condition: inCell(settings, purpose),
    }),
    ...unwrapStored(settings, purpose),
    // Pool keys are given to those who read, and they write with them.
    ...when(purpose.delivery === 'pool', ...blindIndex(purpose)),
  ],
  'key-service': (settings, purpose) => {
    const made = purpose.stored.filter(
      (kind) => kind !== 'pair' && (kind !== 'data' || purpose.delivery === 'pool'),
    );
    return [
      ...when(made.length > 0, {
        sid: 'MakeKeys',
        actions: ['kms:GenerateDataKey'],
        keys: purpose.keks,
        condition: inStore(settings, purpose, made),
      }),
      ...when(purpose.delivery === 'sealed', {
        sid: 'MakePairs',
        // The private key never leaves the KMS in the clear.
        actions: ['kms:GenerateDataKeyPairWithoutPlaintext'],
        keys: purpose.keks,
        condition: and(inStore(settings, purpose, ['pair']), 'kms:DataKeyPairSpec', 'ECC_NIST_P256'),
      }),
      ...unwrapStored(settings, purpose),
    ];
  },
};

const BY_PURPOSE: Readonly<Record<Exclude<Tier, 'administrators'>, RightsOfPurpose>> = {
  app: (settings, purpose) => distinct(Object.values(WORK).flatMap((rights) => rights(settings, purpose))),
  ...WORK,
  rewrap: (settings, purpose) => when(purpose.stored.length > 0, ...reEncrypt(settings, purpose)),
};

/**
 * Without a principal nobody gets the rights of a tier that not every application has: of `app`, or of those that it
 * stands for, and of `rewrap`.
 */
export function isLeftOut({ principals }: PolicySettings, tier: Tier): boolean {
  if (principals[tier].length > 0) return false;
  return tier === 'app' || tier === 'rewrap' || (Object.hasOwn(WORK, tier) && principals.app.length > 0);
}

/** All rights, by tier, within a tier by purpose. */
export function rightsOf(settings: PolicySettings): readonly Right[] {
  const tiers = Object.keys(BY_PURPOSE) as (keyof typeof BY_PURPOSE)[];
  refuseEqualSids(settings);
  return [...tiers.flatMap((tier) => rightsOfTier(settings, tier)), ...administration(settings)];
}

function rightsOfTier(settings: PolicySettings, tier: keyof typeof BY_PURPOSE): readonly Right[] {
  if (isLeftOut(settings, tier)) return [];
  const rights = settings.purposes.flatMap((purpose) =>
    BY_PURPOSE[tier](settings, purpose).map((right) => ({
      ...right,
      tier,
      sid: words(`${tier}-${purpose.name}`) + right.sid,
    })),
  );
  const keks = described(settings, tier, rights);
  const describe = { tier, sid: `${words(tier)}Start`, actions: ['kms:DescribeKey'], keys: keks };
  return [...when(keks.length > 0, describe), ...rights];
}

/**
 * A KEK's metadata, which `awsKms` asks for when it starts for a key store: that the key is there, enabled and of the
 * right kind. A process that only writes asks nothing, nor does one that only opens under KEKs named by ARN: the payment
 * tier, unless it has the keys of a pool and writes with them. One that does both asks always.
 */
function described({ purposes }: PolicySettings, tier: Tier, rights: readonly Right[]): readonly string[] {
  if (tier !== 'app' && (tier === 'web' || purposes.every(({ stored }) => stored.length === 0))) return [];
  if (tier === 'payment' && purposes.every(({ delivery }) => delivery !== 'pool')) return [];
  return keysOf(rights).filter((arn) => !purposes.some(({ macKeys }) => macKeys.includes(arn)));
}

/** IAM wants each Sid once in a document. */
function refuseEqualSids({ purposes }: PolicySettings): void {
  const names = purposes.map(({ name }) => name);
  for (const name of names) {
    const other = names.find((one) => one !== name && words(one) === words(name));
    if (other === undefined) continue;
    throw optionError('options.purposes', 'names that differ without their dashes', `${name} and ${other}`);
  }
}

/** The distinct keys that rights are about, in their order. */
export function keysOf(rights: readonly Right[]): readonly string[] {
  return [...new Set(rights.flatMap(({ keys }) => keys))];
}

function unwrapStored(settings: PolicySettings, purpose: Purpose): readonly PurposeRight[] {
  return when(purpose.stored.length > 0, {
    sid: 'OpenKeys',
    actions: ['kms:Decrypt'],
    keys: purpose.openingKeks,
    condition: inStore(settings, purpose, purpose.stored),
  });
}

function blindIndex({ macKeys }: Purpose): readonly PurposeRight[] {
  const condition = { StringEquals: { 'kms:MacAlgorithm': 'HMAC_SHA_256' } };
  return when(macKeys.length > 0, {
    sid: 'Index',
    actions: ['kms:GenerateMac'],
    keys: macKeys,
    condition,
  });
}

/**
 * From any KEK of the purpose, to those that wrap, under the same kind of context on both sides. With one KEK the key
 * must stay the same, which no list of resources can say.
 */
function reEncrypt(settings: PolicySettings, purpose: Purpose): readonly PurposeRight[] {
  const context = inStore(settings, purpose, purpose.stored);
  const condition =
    purpose.openingKeks.length > 1 ? context : { ...context, Bool: { 'kms:ReEncryptOnSameKey': 'true' } };
  return [
    { sid: 'From', actions: ['kms:ReEncryptFrom'], keys: purpose.openingKeks, condition },
    { sid: 'To', actions: ['kms:ReEncryptTo'], keys: purpose.keks, condition },
  ];
}

/** Administrators manage every key and use none. MAC keys do not rotate. */
function administration({ purposes }: PolicySettings): readonly Right[] {
  const keks = [...new Set(purposes.flatMap(({ openingKeks }) => openingKeks))];
  const macKeys = purposes.flatMap((purpose) => purpose.macKeys);
  const tier = 'administrators';
  return [
    { tier, sid: 'AdministratorsManage', actions: KEY_MANAGEMENT, keys: [...keks, ...new Set(macKeys)] },
    { tier, sid: 'AdministratorsRotate', actions: ROTATION, keys: keks },
  ];
}

/** Two tiers open the keys of the key store, under the same conditions. */
function distinct(rights: readonly PurposeRight[]): readonly PurposeRight[] {
  return [...new Map(rights.map((right) => [right.sid, right])).values()];
}

function and(condition: Condition, key: string, value: string): Condition {
  return { ...condition, StringEquals: { ...condition.StringEquals, [key]: value } };
}

function when<T>(holds: boolean, ...rights: readonly T[]): readonly T[] {
  return holds ? rights : [];
}

/** `card-number` as `CardNumber`. */
function words(name: string): string {
  return name.replaceAll(/(?:^|-)([a-z0-9])/gu, (_, first: string) => first.toUpperCase());
}
