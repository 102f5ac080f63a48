/** The named exports `options` and `tiers` of a configuration module, as far as policy documents need them. */
import { isKeyArn } from '../kms/arn.js';
import { arnOf, macKeyRule, refuseSharedMacKeys, type MacKeys } from '../kms/mac-keys.js';
import { parseFieldSealSettings } from '../keys/field-seal-options.js';
import {
  describeValue,
  group,
  listOf,
  mapOf,
  nearestName,
  optional,
  optionError,
  parseOptions,
  text,
  withDefault,
  type OptionRule,
} from '../keys/options.js';
import type { Policy } from '../keys/policy.js';
import { checkConfiguredKeks } from '../service/kek-spread.js';
import { schemaRule } from '../store/schema.js';
import { purposeTraits, type PurposeTraits } from './purposes.js';

export const TIERS = ['app', 'web', 'payment', 'key-service', 'rewrap', 'administrators'] as const;
export type Tier = (typeof TIERS)[number];

/** A purpose with its keys in the KMS, as ARNs. */
export interface Purpose extends PurposeTraits {
  /** Those that wrap new keys. */
  readonly keks: readonly string[];
  /** Those and the retired ones, which only unwrap. */
  readonly openingKeks: readonly string[];
  /** Of blind indexes that the KMS makes; empty where it does not. */
  readonly macKeys: readonly string[];
}

export interface DatabaseRoles {
  readonly app: string | undefined;
  readonly web: string | undefined;
  readonly payment: string | undefined;
  readonly keyService: string | undefined;
}

export interface PolicySettings {
  readonly application: string;
  readonly environment: string;
  readonly purposes: readonly Purpose[];
  /** ARNs of IAM users and roles; empty for a tier that is not there. */
  readonly principals: Readonly<Record<Tier, readonly string[]>>;
  readonly database: { readonly roles: DatabaseRoles; readonly schema: string } | undefined;
}

/** A user or a role. Neither `*` nor an account's root, which would leave the decision to every policy of the account. */
const PRINCIPAL_ARN = /^arn:aws[a-z-]*:iam::\d{12}:(?:user|role)\/[\w+=,.@/-]{1,512}$/;

const keyArn = text('the ARN of a key: arn:aws:kms:…:key/…, no alias', isKeyArn);
const keyArns = mapOf(listOf(keyArn, 1));
const principalArn = text('the ARN of an IAM user or role', (arn) => PRINCIPAL_ARN.test(arn));
const roleName = optional(text());

const principals: OptionRule<readonly string[]> = (value, path) =>
  value === undefined ? [] : listOf(principalArn, 1)(typeof value === 'string' ? [value] : value, path);

const none: ReadonlyMap<string, never> = new Map<string, never>();

const tiersTable = {
  keks: keyArns,
  openKeks: withDefault<ReadonlyMap<string, readonly string[]>>(keyArns, none),
  macKeys: withDefault<ReadonlyMap<string, MacKeys>>(mapOf(macKeyRule), none),
  principals: group({
    app: principals,
    web: principals,
    payment: principals,
    keyService: principals,
    rewrap: principals,
    administrators: principals,
  }),
  database: optional(
    group({
      roles: group({ app: roleName, web: roleName, payment: roleName, keyService: roleName }),
      schema: schemaRule,
    }),
  ),
};

type Tiers = ReturnType<typeof parseTiers>;

/** Where a tier stands in `tiers.principals`. */
export const principalPath = (tier: Tier): string =>
  `tiers.principals.${tier === 'key-service' ? 'keyService' : tier}`;

/**
 * @throws ConfigError as createFieldSeal does for the same options, and `ERR_CONFIG_OPTION` for the tiers; each names the
 * export and the option: `tiers.principals.web`.
 */
export function parseSettings(options: unknown, tiers: unknown): PolicySettings {
  if (options === undefined) throw optionError('options', 'an object', 'nothing');
  const { application, environment, policies } = parseFieldSealSettings(options, 'options');
  const parsed = parseTiers(tiers);
  refuseUnknownPurposes(parsed, [...policies.keys()]);
  refuseSharedMacKeys(parsed.macKeys, 'tiers.macKeys');
  const { keyService, ...principals } = parsed.principals;
  const settings = {
    application: conditionValue(application, 'options.application'),
    environment: conditionValue(environment, 'options.environment'),
    purposes: [...policies.values()].map((policy) => withKeys(policy, parsed)),
    principals: { ...principals, 'key-service': keyService },
    database: parsed.database,
  };
  refuseSharedPrincipals(settings.principals);
  return settings;
}

/** IAM reads `${…}` in a condition as a variable (IAM User Guide, "Policy variables"). */
function conditionValue(name: string, path: string): string {
  if (!name.includes('${')) return name;
  throw optionError(path, 'a name without "${", which IAM would replace', describeValue(name));
}

function parseTiers(tiers: unknown) {
  if (tiers === undefined) throw optionError('tiers', 'an export with keks and principals', 'nothing');
  return parseOptions(tiersTable, tiers, 'tiers');
}

function withKeys(policy: Policy, tiers: Tiers): Purpose {
  const traits = purposeTraits(policy);
  const { name } = traits;
  const keks = tiers.keks.get(name);
  if (keks === undefined) throw optionError(`tiers.keks.${name}`, 'a list of at least 1 key ARN', 'nothing');
  // One alone is a warning where the policy does not ask for more: the processes give it when they start.
  checkConfiguredKeks(policy, keks, () => undefined);
  const openingKeks = [...new Set([...keks, ...(tiers.openKeks.get(name) ?? [])])];
  return {
    ...traits,
    keks: [...new Set(keks)],
    openingKeks,
    macKeys: macKeysOf(traits, tiers),
  };
}

function macKeysOf({ name, index, indexVersions }: PurposeTraits, tiers: Tiers): readonly string[] {
  const path = `tiers.macKeys.${name}`;
  const keys = tiers.macKeys.get(name);
  if (index !== 'kms') {
    if (keys === undefined) return [];
    throw optionError(path, "nothing, since index is not 'kms'", describeValue(keys));
  }
  // Keys of versions that the policy has no more are nobody's to use.
  const arns = indexVersions.map((version) => {
    const arn = arnOf(keys, version);
    if (arn !== undefined) return arn;
    throw optionError(path, `the ARN of a MAC key for version ${version} of the index`, 'none');
  });
  const keks = [...tiers.keks.values(), ...tiers.openKeks.values()].flat();
  if (arns.some((arn) => keks.includes(arn)))
    throw optionError(path, 'an HMAC_256 key, which is no KEK', 'one of keks or openKeks');
  return [...new Set(arns)];
}

function refuseUnknownPurposes(tiers: Tiers, known: readonly string[]): void {
  for (const option of ['keks', 'openKeks', 'macKeys'] as const) {
    const unknown = [...tiers[option].keys()].find((name) => !known.includes(name));
    if (unknown === undefined) continue;
    const nearest = nearestName(unknown, known);
    const hint = nearest === undefined ? known.join(', ') : `did you mean '${nearest}'?`;
    throw optionError(
      `tiers.${option}`,
      `purposes of options.purposes (${hint})`,
      `'${unknown.slice(0, 64)}'`,
    );
  }
}

/** The tier that only writes, and those who only manage, are only that under a principal of their own. */
function refuseSharedPrincipals(principals: PolicySettings['principals']): void {
  for (const tier of ['web', 'administrators'] as const) {
    const others = TIERS.filter((other) => other !== tier);
    const shared = others.find((other) => principals[tier].some((arn) => principals[other].includes(arn)));
    if (shared === undefined) continue;
    throw optionError(
      principalPath(tier),
      'principals of its own',
      `one that ${principalPath(shared)} names too`,
    );
  }
}
