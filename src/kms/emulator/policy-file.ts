/** The policy of the emulator: principals with their credentials and what they may do. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { ConfigError } from '../../errors.js';
import { isKnownConditionKey, isKnownOperator } from './conditions.js';

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

const oneOrMany = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]);

const condition = z.record(
  z.string().refine(isKnownOperator, { error: 'is not an operator that the emulator knows' }),
  z.record(
    z.string().refine(isKnownConditionKey, { error: 'is not a condition key that the emulator knows' }),
    z.union([oneOrMany, z.boolean()]),
  ),
);

const identityStatement = z.strictObject({
  Sid: z.string().optional(),
  Effect: z.enum(['Allow', 'Deny']),
  Action: oneOrMany,
  Resource: oneOrMany,
  Condition: condition.optional(),
});

const keyStatement = identityStatement.extend({
  Principal: z.union([z.literal('*'), z.strictObject({ AWS: oneOrMany })]),
});

const identityPolicy = z.strictObject({
  Version: z.string().optional(),
  Statement: z.array(identityStatement),
});

/** A key policy, as CreateKey and PutKeyPolicy take it. */
export const keyPolicy = z.strictObject({
  Version: z.string().optional(),
  Id: z.string().optional(),
  Statement: z.array(keyStatement).min(1),
});

const emulatorPolicy = z.strictObject({
  principals: z
    .array(
      z.strictObject({
        name: z.string().regex(/^[\w+=,.@-]{1,64}$/),
        accessKeyId: z.string().regex(/^[A-Za-z0-9]{16,128}$/),
        secretAccessKey: z.string().min(16),
        policy: identityPolicy,
      }),
    )
    .min(1)
    .refine((list) => areUnique(list.map((one) => one.name)), { error: 'two principals have one name' })
    .refine((list) => areUnique(list.map((one) => one.accessKeyId)), {
      error: 'two principals have one accessKeyId',
    }),
});

/**
 * Reads a policy file.
 * @throws ConfigError `ERR_CONFIG_OPTION`: not readable, no JSON, or not a policy; the message says where.
 */
export function readPolicyFile(path: string): EmulatorPolicy {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const why = error instanceof SyntaxError ? 'is not JSON' : `cannot be read (${codeOf(error)})`;
    throw new ConfigError('ERR_CONFIG_OPTION', `Policy file ${path} ${why}.`);
  }
  return parsePolicy(json, `Policy file ${path}`);
}

/**
 * Checks a policy.
 * @throws ConfigError `ERR_CONFIG_OPTION`.
 */
export function parsePolicy(policy: unknown, source: string): EmulatorPolicy {
  const parsed = emulatorPolicy.safeParse(policy);
  if (parsed.success) return parsed.data;
  throw new ConfigError('ERR_CONFIG_OPTION', `${source}: ${describeIssues(parsed.error)}.`);
}

/** Where a document is wrong and why, without its values. */
export function describeIssues(error: z.ZodError): string {
  return error.issues
    .slice(0, 3)
    .map((issue) => `${issue.path.map(String).join('.') || 'document'}: ${issue.message}`)
    .join('; ');
}

function areUnique(words: readonly string[]): boolean {
  return new Set(words).size === words.length;
}

function codeOf(error: unknown): string {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return code ?? 'unknown error';
}
