import { isFieldSealError, type FieldSealEvent } from 'fieldseal';
import { pino, type Logger } from 'pino';

/** JSON lines on the standard output. */
export function shopLogger(tier: string): Logger {
  return pino({
    base: { tier },
    serializers: { err: describeError, event: describeEvent, req: describeRequest },
  });
}

/** Without the query of the address, where somebody may put anything. */
function describeRequest({ method, url }: { readonly method: string; readonly url: string }): unknown {
  return { method, path: url.split('?', 1)[0] };
}

function describeEvent(event: FieldSealEvent): unknown {
  return event.type === 'refresh-failed' ? { ...event, error: describeError(event.error) } : event;
}

/**
 * What a log may say of an error. Messages of fieldseal hold no value; those of drivers and libraries may quote what
 * they were given, and TypeORM's errors carry query and parameters, so of these only name, code and
 * place are kept.
 */
export function describeError(error: unknown): Record<string, unknown> {
  if (isFieldSealError(error)) return { type: error.name, code: error.code, message: error.message };
  if (!(error instanceof Error)) return { type: typeof error };
  const at = error.stack?.split('\n').filter((line) => /^ +at /u.test(line));
  return { type: error.name, code: (error as { code?: unknown }).code, at };
}
