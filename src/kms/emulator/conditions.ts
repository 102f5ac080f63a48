/** Conditions of policy statements: the operators and condition keys that the emulator knows. */
import type { OneOrMany } from './policy-file.js';
import { matchesPattern } from './wildcard.js';

/** Values of the condition keys of one request, by condition key in lower case; absent keys have no entry. */
export type ConditionValues = ReadonlyMap<string, readonly string[]>;

export type Conditions = Readonly<Record<string, Readonly<Record<string, OneOrMany | boolean>>>>;

interface Operator {
  readonly matches: (expected: string, got: string) => boolean;
  /** True for the `Not` operators: no expected value may match, and an absent key passes. */
  readonly negated: boolean;
}

const equals = (expected: string, got: string): boolean => expected === got;
const equalsIgnoringCase = (expected: string, got: string): boolean =>
  expected.toLowerCase() === got.toLowerCase();

const OPERATORS: ReadonlyMap<string, Operator> = new Map([
  ['StringEquals', { matches: equals, negated: false }],
  ['StringNotEquals', { matches: equals, negated: true }],
  ['StringEqualsIgnoreCase', { matches: equalsIgnoringCase, negated: false }],
  ['StringNotEqualsIgnoreCase', { matches: equalsIgnoringCase, negated: true }],
  ['StringLike', { matches: matchesPattern, negated: false }],
  ['StringNotLike', { matches: matchesPattern, negated: true }],
  ['ArnEquals', { matches: matchesPattern, negated: false }],
  ['ArnNotEquals', { matches: matchesPattern, negated: true }],
  ['ArnLike', { matches: matchesPattern, negated: false }],
  ['ArnNotLike', { matches: matchesPattern, negated: true }],
  ['Bool', { matches: equalsIgnoringCase, negated: false }],
]);

/** Condition keys in lower case: AWS compares them without regard to case. */
const CONDITION_KEYS: ReadonlySet<string> = new Set([
  'kms:encryptioncontextkeys',
  'kms:reencryptonsamekey',
  'kms:requestalias',
  'kms:datakeypairspec',
  'kms:macalgorithm',
  'aws:principalarn',
]);
const CONTEXT_PREFIX = 'kms:encryptioncontext:';

/** The parts of `ForAnyValue:StringLikeIfExists`. */
const OPERATOR_NAME = /^(?:(ForAllValues|ForAnyValue):)?(\w+?)(IfExists)?$/;

export function isKnownOperator(name: string): boolean {
  const [, , base = ''] = OPERATOR_NAME.exec(name) ?? [];
  return base === 'Null' || OPERATORS.has(base);
}

/** Unknown keys would silently never match, and a Deny with one never deny: policies with one are refused. */
export function isKnownConditionKey(name: string): boolean {
  const key = name.toLowerCase();
  return CONDITION_KEYS.has(key) || (key.startsWith(CONTEXT_PREFIX) && key.length > CONTEXT_PREFIX.length);
}

/** Whether every condition of the statement holds. */
export function conditionsHold(conditions: Conditions | undefined, values: ConditionValues): boolean {
  return Object.entries(conditions ?? {}).every(([operator, keys]) =>
    Object.entries(keys).every(([key, expected]) =>
      holds(operator, toList(expected), values.get(key.toLowerCase())),
    ),
  );
}

/** Values of the condition keys for an encryption context. An empty context has no `kms:EncryptionContextKeys`. */
export function contextConditions(
  context: Readonly<Record<string, string>>,
): [key: string, values: readonly string[]][] {
  const names = Object.keys(context);
  return [
    ...names.map((name): [string, string[]] => [CONTEXT_PREFIX + name.toLowerCase(), [context[name] ?? '']]),
    ...(names.length === 0 ? [] : [['kms:encryptioncontextkeys', names] as [string, string[]]]),
  ];
}

function holds(name: string, expected: readonly string[], got: readonly string[] | undefined): boolean {
  const [, quantifier, base = '', ifExists] = OPERATOR_NAME.exec(name) ?? [];
  if (base === 'Null') return expected.includes(String(got === undefined));
  const operator = OPERATORS.get(base);
  if (operator === undefined) return false;
  const one = (value: string): boolean =>
    expected.some((candidate) => operator.matches(candidate, value)) !== operator.negated;
  // IAM User Guide, "Set operators": ForAllValues is also true, ForAnyValue false, where the key is absent.
  if (quantifier === 'ForAllValues') return (got ?? []).every(one);
  if (got === undefined) return ifExists !== undefined || (operator.negated && quantifier === undefined);
  return got.some(one);
}

function toList(expected: OneOrMany | boolean): readonly string[] {
  return typeof expected === 'object' ? expected : [String(expected)];
}
