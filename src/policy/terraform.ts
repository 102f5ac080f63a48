/** The AWS documents as Terraform configuration, for the AWS provider. */
import { optionError } from '../keys/options.js';
import { awsDocuments, type PolicyDocument } from './documents.js';
import { keysOf, rightsOf } from './rights.js';
import { TIERS, type PolicySettings, type Tier } from './settings.js';
import { keyReference, principalsReference, terraformInputs } from './terraform-inputs.js';
import { attributes, escapeTemplates, quoted } from './terraform-text.js';

/** Longest name of a managed policy (IAM API Reference, CreatePolicy). */
const MAX_POLICY_NAME = 128;

/** Before an expression among the strings of a document. No name has control characters. */
const EXPRESSION = '\u0001';

/** The aliases beside the keys, wherever those are in the end. */
const ALIASES = 'distinct([for arn in values(local.fieldseal_keys) : replace(arn, "/key/.*$/", "alias/*")])';

/**
 * Variables with the configuration's own values; one `aws_kms_key_policy` a key; one `aws_iam_policy` a tier, attached to
 * the tier's principals of that account. Laid out as `terraform fmt` does.
 * @param tier The policy of this tier alone.
 * @throws ConfigError `ERR_CONFIG_OPTION` where the names together are too long for IAM, and as `awsDocuments`.
 */
export function terraform(settings: PolicySettings, tier?: Tier): string {
  const { keyPolicies, identityPolicies } = awsDocuments(settings, tier);
  if (keyPolicies.size + identityPolicies.size === 0) return '';
  // Instead of principals the documents name tiers, to be told apart where principals are shared.
  const named = awsDocuments({ ...settings, principals: tiersForPrincipals(settings) }, tier);
  return [
    ...terraformInputs(settings, keysOf(rightsOf(settings))),
    ...[...named.keyPolicies].map(([arn, document]) => keyPolicy(arn, document)),
    ...[...named.identityPolicies].flatMap(([one, document]) => identityPolicy(settings, one, document)),
  ].join('\n');
}

function tiersForPrincipals({ principals }: PolicySettings): PolicySettings['principals'] {
  const entries = TIERS.map((tier) => [tier, principals[tier].length > 0 ? [tier] : []] as const);
  return Object.fromEntries(entries) as unknown as PolicySettings['principals'];
}

function keyPolicy(arn: string, document: PolicyDocument): string {
  const name = label(...arn.split(':').slice(3, 5), arn.slice(arn.indexOf('/') + 1));
  return [
    '# Resource "*" in the policy of a key means this key alone.',
    `resource "aws_kms_key_policy" "${name}" {`,
    `  key_id = ${keyReference(arn)}`,
    `  policy = jsonencode(${expression(document)})`,
    '}',
    '',
  ].join('\n');
}

function identityPolicy(settings: PolicySettings, tier: Tier, document: PolicyDocument): readonly string[] {
  const name = policyName(settings, tier);
  const resource = label(settings.application, settings.environment, tier);
  const namesOf = (kind: string): string =>
    `[for arn in ${principalsReference(tier)} : regex("[^/]+$", arn) if can(regex("^arn:[^:]+:iam::\${var.fieldseal_account_id}:${kind}/", arn))]`;
  return [
    [
      `resource "aws_iam_policy" "${resource}" {`,
      `  name = ${quoted(name)}`,
      `  policy = jsonencode(${expression(document)})`,
      '}',
      '',
    ].join('\n'),
    [
      `resource "aws_iam_policy_attachment" "${resource}" {`,
      '  # To nobody else. Principals of other accounts have their policies there.',
      ...attributes(2, [
        ['name', quoted(name)],
        ['policy_arn', `aws_iam_policy.${resource}.arn`],
        ['roles', namesOf('role')],
        ['users', namesOf('user')],
      ]),
      '}',
      '',
    ].join('\n'),
  ];
}

function policyName({ application, environment }: PolicySettings, tier: Tier): string {
  const name = ['fieldseal', application, environment, tier].join('-').replaceAll(/[^\w+=,.@-]/gu, '-');
  if (name.length <= MAX_POLICY_NAME) return name;
  const expected = `names that fit, with options.environment, into a policy name of ${MAX_POLICY_NAME} characters`;
  throw optionError('options.application', expected, `${name.length}`);
}

/** Names of resources are letters, digits, `_` and `-`. */
function label(...parts: readonly string[]): string {
  return ['fieldseal', ...parts].join('_').replaceAll(/[^A-Za-z0-9_]/gu, '_');
}

/** JSON is an expression of Terraform but for its templates; only the colons get the blank that fmt wants. */
function expression(document: PolicyDocument): string {
  return escapeTemplates(JSON.stringify(document, withReferences, 2))
    .replaceAll(/^( *"(?:[^"\\]|\\.)*"): /gmu, '$1 : ')
    .replaceAll(/"\\u0001(?:[^"\\]|\\.)*"/gu, (json) => (JSON.parse(json) as string).slice(EXPRESSION.length))
    .replaceAll('\n', '\n  ');
}

/** Principals and keys of a statement as what stands for them in Terraform. */
function withReferences(name: string, value: unknown): unknown {
  if (name === 'AWS') return EXPRESSION + principalsReference(value as Tier);
  if (name !== 'Resource' || value === '*') return value;
  const arns = [value as string | readonly string[]].flat();
  if (arns.every((arn) => arn.endsWith(':alias/*'))) return EXPRESSION + ALIASES;
  const references = arns.map((arn) => EXPRESSION + keyReference(arn));
  return references.length === 1 ? references[0] : references;
}
