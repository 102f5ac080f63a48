/** What a Terraform configuration of policies takes from outside: account, region, keys and principals, as variables. */
import { TIERS, type PolicySettings, type Tier } from './settings.js';
import { attributes, quoted } from './terraform-text.js';

/** Where a key or a principal of the configuration stands in Terraform's. */
export const keyReference = (arn: string): string => `local.fieldseal_keys[${quoted(arn)}]`;
export const principalsReference = (tier: Tier): string => `local.fieldseal_principals[${quoted(tier)}]`;

/** In account and region of the first key, unless another is given. */
interface Home {
  readonly region: string;
  readonly account: string;
}

/** @param keys ARNs of all keys that policies name. */
export function terraformInputs({ principals }: PolicySettings, keys: readonly string[]): readonly string[] {
  const [, , , region = '', account = ''] = keys[0]!.split(':');
  const home = { region, account };
  const tiers = TIERS.filter((tier) => principals[tier].length > 0);
  return [
    variable('fieldseal_account_id', 'string', quoted(account), 'Account of the keys and the principals.', [
      'can(regex("^[0-9]{12}$", var.fieldseal_account_id))',
      'An account id has 12 digits.',
    ]),
    variable('fieldseal_region', 'string', quoted(region), 'Region of the keys.', [
      'can(regex("^[a-z]+(-[a-z]+)+-[0-9]+$", var.fieldseal_region))',
      'Expected a region such as eu-central-1.',
    ]),
    variable(
      'fieldseal_keys',
      'map(string)',
      '{}',
      'Key ARNs in the place of those that the configuration of fieldseal names, by those. No aliases, which can be moved.',
      [
        `alltrue([for name, arn in var.fieldseal_keys : contains([${keys.map(quoted).join(', ')}], name) && can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", arn))])`,
        'Expected key ARNs, by key ARNs of the configuration of fieldseal.',
      ],
    ),
    variable(
      'fieldseal_principals',
      'map(list(string))',
      '{}',
      'ARNs of IAM roles and users in the place of those that the configuration of fieldseal names, by tier.',
      [
        `alltrue([for tier, arns in var.fieldseal_principals : contains([${tiers.map(quoted).join(', ')}], tier) && length(arns) > 0 && alltrue([for arn in arns : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[A-Za-z0-9_+=,.@/-]+$", arn))])])`,
        `Expected lists of ARNs of IAM roles and users, by tier: ${tiers.join(', ')}.`,
      ],
    ),
    [
      'locals {',
      '  fieldseal_keys = merge({',
      ...attributes(
        4,
        keys.map((arn) => [quoted(arn), inHome(arn, home)]),
      ),
      '  }, var.fieldseal_keys)',
      '  fieldseal_principals = merge({',
      ...attributes(
        4,
        tiers.map((tier) => [
          quoted(tier),
          `[${principals[tier].map((arn) => inHome(arn, home)).join(', ')}]`,
        ]),
      ),
      '  }, var.fieldseal_principals)',
      '}',
      '',
    ].join('\n'),
  ];
}

function variable(
  name: string,
  type: string,
  byDefault: string,
  description: string,
  [condition, message]: readonly [condition: string, message: string],
): string {
  return [
    `variable "${name}" {`,
    ...attributes(2, [
      ['description', quoted(description)],
      ['type', type],
      ['default', byDefault],
    ]),
    '',
    '  validation {',
    ...attributes(4, [
      ['condition', condition],
      ['error_message', quoted(message)],
    ]),
    '  }',
    '}',
    '',
  ].join('\n');
}

/** An ARN whose account and region follow the variables, where they are those of the first key. */
function inHome(arn: string, home: Home): string {
  const [prefix, partition, service, region = '', account = '', ...rest] = arn.split(':');
  const place = region === home.region ? '${var.fieldseal_region}' : region;
  const owner = account === home.account ? '${var.fieldseal_account_id}' : account;
  return `"${[prefix, partition, service, place, owner, ...rest].join(':')}"`;
}
