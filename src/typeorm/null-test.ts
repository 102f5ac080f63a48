/** Tests for NULL: the one thing that a cell itself answers, and that needs no value. */
import { InstanceChecker, IsNull, Not, type FindOperator } from 'typeorm';

/** A fresh IsNull() or Not(IsNull()), however deep in Not, where the value is one. */
export function asNullTest(value: unknown): FindOperator<unknown> | undefined {
  if (!InstanceChecker.isFindOperator(value)) return undefined;
  if (value.type === 'isNull') return IsNull();
  const child = value.type === 'not' && value.child ? asNullTest(value.child) : undefined;
  return child && Not(child);
}
