/** Policy documents of AWS: one per key, and one per tier. */
import type { ConfigError } from '../errors.js';
import { optionError } from '../keys/options.js';
import { ALIAS_ACTIONS, aliasesBeside } from './administration.js';
import { oneOrMany, type Condition, type OneOrMany } from './encryption-context.js';
import { isLeftOut, keysOf, rightsOf, type Right } from './rights.js';
import { principalPath, TIERS, type PolicySettings, type Tier } from './settings.js';

export interface Statement {
  readonly Sid: string;
  readonly Effect: 'Allow';
  /** In key policies alone. */
  readonly Principal?: { readonly AWS: OneOrMany };
  readonly Action: OneOrMany;
  readonly Resource: OneOrMany;
  readonly Condition?: Condition;
}

export interface PolicyDocument {
  readonly Version: '2012-10-17';
  readonly Statement: readonly Statement[];
}

export interface AwsDocuments {
  /** By key ARN. */
  readonly keyPolicies: ReadonlyMap<string, PolicyDocument>;
  /** By tier. A tier that needs nothing of the KMS has none: IAM takes no policy without a statement. */
  readonly identityPolicies: ReadonlyMap<Tier, PolicyDocument>;
}

/**
 * @param only The identity policy of this tier alone, and no key policy, since that is put as a whole for all tiers.
 * @throws ConfigError `ERR_CONFIG_OPTION` for a tier that needs rights, or is asked for, and has no principal.
 */
export function awsDocuments(settings: PolicySettings, only?: Tier): AwsDocuments {
  if (only !== undefined && isLeftOut(settings, only)) throw withoutPrincipal(only);
  const rights = rightsOf(settings);
  for (const { tier } of rights) {
    if (settings.principals[tier].length > 0) continue;
    throw withoutPrincipal(tier);
  }
  const tiers = only === undefined ? TIERS : [only];
  return {
    keyPolicies: new Map(
      (only === undefined ? keysOf(rights) : []).map((arn) => [arn, keyPolicy(settings, rights, arn)]),
    ),
    identityPolicies: new Map(
      tiers
        .map((tier) => [tier, rights.filter((right) => right.tier === tier)] as const)
        .filter(([, own]) => own.length > 0)
        .map(([tier, own]) => [tier, identityPolicy(tier, own)]),
    ),
  };
}

function withoutPrincipal(tier: Tier): ConfigError {
  return optionError(principalPath(tier), 'the ARN of an IAM user or role, or a list of them', 'nothing');
}

/**
 * In the policy of a key, Resource "*" means this key and no other. The account's root is not named, so no identity
 * policy of the account can add to what stands here.
 * https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-overview.html
 */
function keyPolicy({ principals }: PolicySettings, rights: readonly Right[], arn: string): PolicyDocument {
  return policy(
    rights
      .filter(({ keys }) => keys.includes(arn))
      .map((right) => ({
        Sid: right.sid,
        Effect: 'Allow',
        Principal: { AWS: oneOrMany(principals[right.tier]) },
        ...body(right, '*'),
      })),
  );
}

function identityPolicy(tier: Tier, rights: readonly Right[]): PolicyDocument {
  const statements: Statement[] = rights.map((right) => ({
    Sid: right.sid,
    Effect: 'Allow',
    ...body(right, oneOrMany(right.keys)),
  }));
  return policy(tier === 'administrators' ? [...statements, onAliases(keysOf(rights))] : statements);
}

function onAliases(keys: readonly string[]): Statement {
  const Resource = oneOrMany(aliasesBeside(keys));
  return { Sid: 'AdministratorsAliases', Effect: 'Allow', Action: ALIAS_ACTIONS, Resource };
}

function body({ actions, condition }: Right, Resource: OneOrMany) {
  return { Action: oneOrMany(actions), Resource, ...(condition && { Condition: condition }) };
}

function policy(Statement: readonly Statement[]): PolicyDocument {
  return { Version: '2012-10-17', Statement };
}
