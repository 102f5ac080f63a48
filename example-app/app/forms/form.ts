/** What a browser sent, checked: either the values, or what is wrong by the name of the field. */
import { z } from 'zod';

export type Errors = Readonly<Record<string, string>>;

export type Parsed<T> =
  { readonly isValid: true; readonly values: T } | { readonly isValid: false; readonly errors: Errors };

/** Messages are those of the schema; none holds a value. */
export function parseForm<T>(schema: z.ZodType<T>, body: unknown): Parsed<T> {
  const parsed = schema.safeParse(body ?? {});
  if (parsed.success) return { isValid: true, values: parsed.data };
  const errors: Record<string, string> = {};
  for (const { path, message } of parsed.error.issues) errors[String(path[0] ?? 'form')] ??= message;
  return { isValid: false, errors };
}

/** What is wrong with a form, or with none that was sent: nothing. */
export function errorsOf(form: Parsed<unknown> | undefined): Errors {
  return form?.isValid === false ? form.errors : {};
}

/** One field. A field that is missing or sent twice is as wrong as an empty one. */
export function textField(error: string): z.ZodString {
  return z.string({ error }).trim().min(1, { error });
}

/** The text of a field as it was sent, to show it again; empty for anything else. */
export function sentText(body: unknown, field: string): string {
  if (typeof body !== 'object' || body === null || !(field in body)) return '';
  const value: unknown = (body as Record<string, unknown>)[field];
  return typeof value === 'string' ? value : '';
}
