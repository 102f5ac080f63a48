/** Checks documents against zod schemas, and says in words of our own where they are wrong. */
import { z } from 'zod';

export type Checked<T> =
  { readonly isValid: true; readonly value: T } | { readonly isValid: false; readonly why: string };

const MAX_SHOWN = 3;

/** What a schema expects, for {@link expected}: the words and what was got instead, which never is the value. */
type Words = (issue: { readonly input?: unknown }) => string;

/** The document as the schema types it, or where it is wrong, what was expected there and what kind of value was got. */
export function check<T>(schema: z.ZodType<T>, document: unknown): Checked<T> {
  const parsed = schema.safeParse(document, { error: inOurWords });
  if (parsed.success) return { isValid: true, value: parsed.data };
  const told = parsed.error.issues
    .slice(0, MAX_SHOWN)
    .map((issue) => `${pathOf(issue.path)}: ${messageOf(issue)}`);
  return { isValid: false, why: told.join('; ') };
}

/** The `error` of a schema or of one of its checks. */
export function expected(what: string): Words {
  return ({ input }) => `expected ${what}, got ${kindOf(input)}`;
}

/** An object with these members and no others. */
export function exactly<S extends z.ZodRawShape>(shape: S, what: string) {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `expected ${Object.keys(shape).join(', ')} alone, got ${issue.keys.join(', ')}`
        : expected(what)(issue),
  });
}

/** For schemas that have no words of their own. */
function inOurWords(issue: z.core.$ZodRawIssue): string {
  if (issue.code === 'invalid_type') return expected(NOUNS[issue.expected] ?? 'another value')(issue);
  if (issue.code === 'invalid_value') {
    return expected(issue.values.map((value) => JSON.stringify(String(value))).join(' or '))(issue);
  }
  return expected('another value')(issue);
}

const NOUNS: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
};

/** Of a name that is wrong, zod tells the reason inside. */
function messageOf(issue: z.core.$ZodIssue): string {
  return issue.code === 'invalid_key' ? (issue.issues[0]?.message ?? issue.message) : issue.message;
}

/** `principals[0].policy` */
function pathOf(path: readonly PropertyKey[]): string {
  const text = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`)).join('');
  return text.replace(/^\./u, '') || 'document';
}

function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (typeof value === 'string') return `a text of ${value.length} characters`;
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
