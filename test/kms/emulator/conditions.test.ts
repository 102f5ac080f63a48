import { describe, expect, it } from 'vitest';
import {
  conditionsHold,
  isKnownConditionKey,
  isKnownOperator,
} from '../../../src/kms/emulator/conditions.js';

const KEY = 'kms:RequestAlias';
const holds = (operator: string, expected: string | string[], got?: string[]): boolean =>
  conditionsHold(
    { [operator]: { [KEY]: expected } },
    new Map(got === undefined ? [] : [[KEY.toLowerCase(), got]]),
  );

/** IAM User Guide, "Condition operators" and "Set operators for multi-valued context keys". */
const TABLE: readonly (readonly [
  operator: string,
  expected: string[],
  got: string[] | undefined,
  boolean,
])[] = [
  ['StringEquals', ['a', 'b'], ['b'], true],
  ['StringEquals', ['a', 'b'], ['B'], false],
  ['StringEquals', ['a*'], ['ab'], false],
  ['StringEquals', ['a'], undefined, false],
  ['StringEqualsIfExists', ['a'], undefined, true],
  ['StringEqualsIfExists', ['a'], ['b'], false],
  ['StringEqualsIgnoreCase', ['A'], ['a'], true],
  ['StringNotEquals', ['a', 'b'], ['c'], true],
  ['StringNotEquals', ['a', 'b'], ['b'], false],
  ['StringNotEquals', ['a'], undefined, true],
  ['StringLike', ['a?c*'], ['abcdef'], true],
  ['StringLike', ['a?c'], ['abbc'], false],
  ['StringLike', ['a.c'], ['abc'], false],
  ['StringNotLike', ['a*'], ['abc'], false],
  ['ArnLike', ['arn:aws:iam::*:user/web'], ['arn:aws:iam::000000000000:user/web'], true],
  ['Bool', ['true'], ['True'], true],
  ['Null', ['true'], undefined, true],
  ['Null', ['true'], ['a'], false],
  ['Null', ['false'], ['a'], true],
  ['ForAllValues:StringEquals', ['a', 'b'], ['a', 'b'], true],
  ['ForAllValues:StringEquals', ['a', 'b'], ['a', 'c'], false],
  ['ForAllValues:StringEquals', ['a'], undefined, true],
  ['ForAllValues:StringNotEquals', ['a'], ['b', 'c'], true],
  ['ForAllValues:StringNotEquals', ['a'], ['a', 'c'], false],
  ['ForAnyValue:StringEquals', ['a'], ['a', 'c'], true],
  ['ForAnyValue:StringEquals', ['a'], ['b', 'c'], false],
  ['ForAnyValue:StringEquals', ['a'], undefined, false],
  ['ForAnyValue:StringNotEquals', ['a'], undefined, false],
  ['ForAnyValue:StringNotEquals', ['a'], ['a', 'b'], true],
];

describe('condition operators', () => {
  it.each(TABLE)('%s %j on %j is %s', (operator, expected, got, outcome) => {
    expect(isKnownOperator(operator)).toBe(true);
    expect(holds(operator, expected, got)).toBe(outcome);
  });

  it('take one value where there is no list', () => {
    expect(holds('StringEquals', 'a', ['a'])).toBe(true);
  });

  it('all have to hold', () => {
    const both = { StringEquals: { [KEY]: 'a' }, StringLike: { [KEY]: 'b*' } };
    expect(conditionsHold(both, new Map([[KEY.toLowerCase(), ['a']]]))).toBe(false);
  });

  it('and keys that are not emulated are known as such', () => {
    expect(isKnownOperator('NumericEquals')).toBe(false);
    expect(isKnownOperator('toString')).toBe(false);
    expect(isKnownConditionKey('kms:ViaService')).toBe(false);
    expect(isKnownConditionKey('kms:EncryptionContext:')).toBe(false);
    expect(isKnownConditionKey('KMS:encryptioncontext:Purpose')).toBe(true);
  });
});
