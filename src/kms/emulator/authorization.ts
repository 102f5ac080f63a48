/**
 * Who may do what: identity policies and key policies together, as AWS evaluates them inside one account
 * (AWS KMS Developer Guide, "Determining access to AWS KMS keys"). Explicit Deny wins. A key policy allows a principal
 * directly, or names the account's root and so leaves the decision to identity policies.
 */
import { ACCOUNT, ACCOUNT_ROOT, principalArn } from './arns.js';
import { conditionsHold } from './conditions.js';
import type { ConditionValues } from './conditions.js';
import type { EmulatorPrincipal, PolicyDocument, PolicyStatement } from './policy-file.js';
import { matchesAction, matchesPattern } from './wildcard.js';

export interface AccessRequest {
  readonly principal: EmulatorPrincipal;
  /** `kms:Decrypt` */
  readonly action: string;
  /** ARN of the key or alias; `*` for actions on none. */
  readonly resource: string;
  readonly conditions: ConditionValues;
}

/** Whether the principal may use this key so. */
export function mayUseKey(request: AccessRequest, keyPolicy: PolicyDocument): boolean {
  const identity = matching(request.principal.policy, request);
  const ofKey = matching(keyPolicy, request);
  if ([...identity, ...ofKey].some(isDenyFor(request))) return false;
  const allowing = ofKey.filter((statement) => statement.Effect === 'Allow');
  if (allowing.some((statement) => namesPrincipal(statement, request.principal))) return true;
  return allowing.some(namesAccount) && identity.some((statement) => statement.Effect === 'Allow');
}

/** Whether the identity policy alone allows it: for actions on no key. */
export function mayDo(request: AccessRequest): boolean {
  const statements = matching(request.principal.policy, request);
  return (
    statements.some((statement) => statement.Effect === 'Allow') &&
    !statements.some((statement) => statement.Effect === 'Deny')
  );
}

function matching(document: PolicyDocument, request: AccessRequest): PolicyStatement[] {
  return document.Statement.filter(
    (statement) =>
      [statement.Action].flat().some((pattern) => matchesAction(pattern, request.action)) &&
      [statement.Resource].flat().some((pattern) => matchesPattern(pattern, request.resource)) &&
      conditionsHold(statement.Condition, request.conditions),
  );
}

function isDenyFor(request: AccessRequest): (statement: PolicyStatement) => boolean {
  return (statement) =>
    statement.Effect === 'Deny' &&
    // Identity policies have no Principal: they are the principal's own.
    (statement.Principal === undefined ||
      namesPrincipal(statement, request.principal) ||
      namesAccount(statement));
}

function namesPrincipal(statement: PolicyStatement, principal: EmulatorPrincipal): boolean {
  const named = principalsOf(statement);
  return named.includes('*') || named.includes(principalArn(principal.name));
}

function namesAccount(statement: PolicyStatement): boolean {
  const named = principalsOf(statement);
  return named.includes(ACCOUNT_ROOT) || named.includes(ACCOUNT);
}

function principalsOf({ Principal: named }: PolicyStatement): readonly string[] {
  if (named === undefined) return [];
  return named === '*' ? ['*'] : [named.AWS].flat();
}
