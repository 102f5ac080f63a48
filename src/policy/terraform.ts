/** The AWS documents as Terraform configuration, for the AWS provider. */
import { optionError } from '../keys/options.js';
import type { AwsDocuments, PolicyDocument } from './documents.js';
import type { PolicySettings, Tier } from './settings.js';

/** Longest name of a managed policy (IAM API Reference, CreatePolicy). */
const MAX_POLICY_NAME = 128;

/**
 * One `aws_kms_key_policy` a key and one `aws_iam_policy` a tier, laid out as `terraform fmt` does. Attaching the
 * policies to principals is left to the configuration that has those.
 * @throws ConfigError `ERR_CONFIG_OPTION` where the names together are too long for IAM.
 */
export function terraform(settings: PolicySettings, documents: AwsDocuments): string {
  return [
    ...[...documents.keyPolicies].map(([arn, document]) => keyPolicy(arn, document)),
    ...[...documents.identityPolicies].map(([tier, document]) => identityPolicy(settings, tier, document)),
  ].join('\n');
}

function keyPolicy(arn: string, document: PolicyDocument): string {
  return [
    '# Resource "*" in the policy of a key means this key alone.',
    `resource "aws_kms_key_policy" "${label(...arn.split(':').slice(3, 5), arn.slice(arn.indexOf('/') + 1))}" {`,
    `  key_id = ${quoted(arn)}`,
    `  policy = jsonencode(${expression(document)})`,
    '}',
    '',
  ].join('\n');
}

function identityPolicy(
  { application, environment }: PolicySettings,
  tier: Tier,
  document: PolicyDocument,
): string {
  const name = ['fieldseal', application, environment, tier].join('-').replaceAll(/[^\w+=,.@-]/gu, '-');
  if (name.length > MAX_POLICY_NAME) {
    const expected = `names that fit, with options.environment, into a policy name of ${MAX_POLICY_NAME} characters`;
    throw optionError('options.application', expected, `${name.length}`);
  }
  return [
    `resource "aws_iam_policy" "${label(application, environment, tier)}" {`,
    `  name = ${quoted(name)}`,
    `  policy = jsonencode(${expression(document)})`,
    '}',
    '',
  ].join('\n');
}

/** Names of resources are letters, digits, `_` and `-`. */
function label(...parts: readonly string[]): string {
  return ['fieldseal', ...parts].join('_').replaceAll(/[^A-Za-z0-9_]/gu, '_');
}

/** JSON is an expression of Terraform but for its templates; only the colons get the blank that fmt wants. */
function expression(document: PolicyDocument): string {
  return escapeTemplates(JSON.stringify(document, null, 2))
    .replaceAll(/^( *"(?:[^"\\]|\\.)*"): /gmu, '$1 : ')
    .replaceAll('\n', '\n  ');
}

function quoted(text: string): string {
  return escapeTemplates(JSON.stringify(text));
}

/** https://developer.hashicorp.com/terraform/language/expressions/strings#escape-sequences */
function escapeTemplates(json: string): string {
  return json.replaceAll(/[$%]\{/gu, (start) => start.slice(0, 1) + start);
}
