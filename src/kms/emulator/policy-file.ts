/** The policy of the emulator: principals with their credentials and what they may do. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { ConfigError } from '../../errors.js';
import { isKnownConditionKey, isKnownOperator } from './conditions.js';
import { check, exactly, expected } from './issues.js';

export type OneOrMany = string | readonly string[];

/** One statement, as IAM writes it. `NotAction`, `NotResource` and `NotPrincipal` are not emulated. */
export interface PolicyStatement {
  readonly Sid?: string | undefined;
  readonly Effect: 'Allow' | 'Deny';
  /** In key policies alone: `'*'`, or ARNs of principals or of the account's root. */
  readonly Principal?: '*' | { readonly AWS: OneOrMany } | undefined;
  readonly Action: OneOrMany;
  readonly Resource: OneOrMany;
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, OneOrMany | boolean>>>> | undefined;
}

export interface PolicyDocument {
  readonly Version?: string | undefined;
  readonly Statement: readonly PolicyStatement[];
}

/** A caller of the emulator; its ARN is `arn:aws:iam::000000000000:user/<name>`. */
export interface EmulatorPrincipal {
  readonly name: string;
  /** 16 to 128 letters and digits. */
  readonly accessKeyId: string;
  /** 16 characters or more. */
  readonly secretAccessKey: string;
  /** Identity policy. */
  readonly policy: PolicyDocument;
}

export interface EmulatorPolicy {
  readonly principals: readonly EmulatorPrincipal[];
}

/** The policy without a policy file: one principal for development, its credentials known to everybody. */
export const LOCAL_POLICY: EmulatorPolicy = {
  principals: [
    {
      name: 'local',
      accessKeyId: 'LOCALEMULATORKEY',
      secretAccessKey: 'local-emulator-secret-not-for-aws',
      policy: { Statement: [{ Effect: 'Allow', Action: 'kms:*', Resource: '*' }] },
    },
  ],
};

const TEXTS = expected('a text or a list of texts');

const text = z.string().min(1);

const oneOrMany = z.union([text, z.array(text).min(1)], { error: TEXTS });

const condition = z.record(
  z.string().refine(isKnownOperator, { error: 'expected an operator that the emulator knows' }),
  z.record(
    z.string().refine(isKnownConditionKey, { error: 'expected a condition key that the emulator knows' }),
    z.union([oneOrMany, z.boolean()], { error: expected('a text, a list of texts, true or false') }),
  ),
);

const STATEMENT = '{ "Effect": …, "Action": …, "Resource": … }';

const ofStatement = {
  Sid: z.string().optional(),
  Effect: z.enum(['Allow', 'Deny']),
  Action: oneOrMany,
  Resource: oneOrMany,
  Condition: condition.optional(),
};

const identityStatement = exactly(ofStatement, STATEMENT);

const keyStatement = exactly(
  {
    ...ofStatement,
    Principal: z.union([z.literal('*'), z.strictObject({ AWS: oneOrMany })], {
      error: expected('"*" or { "AWS": … }'),
    }),
  },
  STATEMENT,
);

const STATEMENTS = expected('a list of statements');
const POLICY = '{ "Statement": […] }';

const identityPolicy = exactly(
  { Version: z.string().optional(), Statement: z.array(identityStatement, { error: STATEMENTS }) },
  POLICY,
);

/** A key policy, as CreateKey and PutKeyPolicy take it. */
export const keyPolicy = exactly(
  {
    Version: z.string().optional(),
    Id: z.string().optional(),
    Statement: z.array(keyStatement, { error: STATEMENTS }).min(1, { error: 'expected one or more' }),
  },
  POLICY,
);

const NAME = expected('1 to 64 letters, digits and _+=,.@-');
const ACCESS_KEY_ID = expected('16 to 128 letters and digits');
const SECRET = expected('a text of 16 characters or more');

const principal = exactly(
  {
    name: z.string({ error: NAME }).regex(/^[\w+=,.@-]{1,64}$/, { error: NAME }),
    accessKeyId: z.string({ error: ACCESS_KEY_ID }).regex(/^[A-Za-z0-9]{16,128}$/, { error: ACCESS_KEY_ID }),
    secretAccessKey: z.string({ error: SECRET }).min(16, { error: SECRET }),
    policy: identityPolicy,
  },
  'an object with name, accessKeyId, secretAccessKey and policy',
);

const LIST = 'a list of principals, each with name, accessKeyId, secretAccessKey and policy';

const emulatorPolicy = exactly(
  {
    principals: z
      .array(principal, { error: expected(LIST) })
      .min(1, { error: 'expected one or more' })
      .refine((list) => areUnique(list.map((one) => one.name)), {
        error: 'expected a name of its own for each, got one twice',
      })
      .refine((list) => areUnique(list.map((one) => one.accessKeyId)), {
        error: 'expected an accessKeyId of its own for each, got one twice',
      }),
  },
  '{ "principals": […] }',
);

/**
 * Reads a policy file.
 * @throws ConfigError `ERR_CONFIG_OPTION`: not readable, no JSON, or not a policy; the message says where.
 */
export function readPolicyFile(path: string): EmulatorPolicy {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const why =
      error instanceof SyntaxError
        ? 'is not JSON: expected { "principals": […] }'
        : `cannot be read (${codeOf(error)})`;
    throw new ConfigError('ERR_CONFIG_OPTION', `Policy file ${path} ${why}.`);
  }
  return parsePolicy(json, `Policy file ${path}`);
}

/**
 * Checks a policy.
 * @throws ConfigError `ERR_CONFIG_OPTION`.
 */
export function parsePolicy(policy: unknown, source: string): EmulatorPolicy {
  if (isPrinted(policy)) throw printedPolicy(source);
  const checked = check(emulatorPolicy, policy);
  if (checked.isValid) return checked.value;
  throw new ConfigError('ERR_CONFIG_OPTION', `${source}: ${checked.why}.`);
}

/** What `fieldseal policy` prints looks like what is wanted here, and has no credentials. */
function isPrinted(policy: unknown): boolean {
  return typeof policy === 'object' && policy !== null && 'identityPolicies' in policy;
}

function printedPolicy(source: string): ConfigError {
  return new ConfigError(
    'ERR_CONFIG_OPTION',
    `${source}: expected { "principals": [{ "name": …, "accessKeyId": …, "secretAccessKey": …, "policy": … }] }, got the output of \`fieldseal policy\`, which has no principals with accessKeyId and secretAccessKey. Make one for each of its identityPolicies, with that as its policy.`,
  );
}

function areUnique(words: readonly string[]): boolean {
  return new Set(words).size === words.length;
}

function codeOf(error: unknown): string {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return code ?? 'unknown error';
}
