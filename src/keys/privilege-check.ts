/**
 * A write-only process proves that it is one: what its credentials must not do at the KMS is asked for, as a dry run, and
 * has to be denied. The denials stand in the audit log of the KMS; alarms on denied calls should know them.
 */
import { KmsError } from '../errors.js';
import type { FieldSealEvent } from './events.js';
import type { Policy } from './policy.js';
import type { Clock, KeySource, Privilege } from './ports.js';
import { answerOf } from './source-calls.js';

/** What becomes of a privilege too many: the start fails, an alarm is raised, or nobody asks. */
export type PrivilegeCheck = 'enforce' | 'warn' | 'off';

export const PRIVILEGE_CHECKS = ['enforce', 'warn', 'off'] as const satisfies readonly PrivilegeCheck[];

export interface CheckedProcess {
  readonly privilegeCheck: PrivilegeCheck;
  readonly policies: ReadonlyMap<string, Policy>;
  readonly source: KeySource;
  readonly clock: Clock;
  readonly emit: (event: FieldSealEvent) => void;
}

/**
 * One GenerateDataKey and three dry runs for each KEK and purpose, one more for each context of a key store that it may have.
 * @throws KmsError `ERR_KMS_TOO_MUCH_PRIVILEGE` where one was not denied, for whatever reason; of the key source.
 */
export async function checkPrivileges(process: CheckedProcess): Promise<void> {
  const { privilegeCheck, policies, source, clock, emit } = process;
  if (privilegeCheck === 'off') return;
  for (const purpose of policies.keys()) {
    const what = `Privilege check of purpose ${purpose}`;
    const privileges = await answerOf(clock, what, () => source.notDenied(purpose));
    if (privileges.length === 0) continue;
    const error = tooMuch(purpose, privileges);
    if (privilegeCheck === 'enforce') throw error;
    emit({ type: 'alarm', code: error.code, message: error.message });
  }
}

function tooMuch(purpose: string, privileges: readonly Privilege[]): KmsError {
  const got = privileges
    .map(({ kek, operation, context, answer }) => {
      const of = context === undefined ? '' : ` of kind ${context.kind}, delivery ${context.delivery},`;
      return `${operation}${of} under ${kek}: ${answer}`;
    })
    .join('; ');
  return new KmsError(
    'ERR_KMS_TOO_MUCH_PRIVILEGE',
    `Purpose ${purpose}: expected the KMS to deny a write-only process everything that opens, got ${got}. Take these ` +
      'rights away from its credentials (fieldseal policy prints what it needs), or give it credentials of its own. Not asked, since the KMS has no dry run of it: PutKeyPolicy, and rights that are given later.',
  );
}
