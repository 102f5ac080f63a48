import type { FastifyInstance } from 'fastify';
import { KeyError, KmsError } from 'fieldseal';
import { errorPage } from '../views/errors/error.js';
import { render, renderNotFound } from './render.js';

/** Errors become pages that show nothing of them; the log has the rest. */
export function handleErrors(app: FastifyInstance): void {
  app.setNotFoundHandler((_request, reply) => renderNotFound(reply));
  app.setErrorHandler((error, request, reply) => {
    const status = statusOf(error);
    if (status >= 500) request.log.error({ err: error }, 'request failed');
    return render(reply, errorPage(status), status);
  });
}

function statusOf(error: unknown): number {
  // Without a data key nothing is sealed and nothing is sent to the database: the transaction is rolled back.
  if (error instanceof KmsError || error instanceof KeyError) return 503;
  const status: unknown =
    typeof error === 'object' && error && 'statusCode' in error ? error.statusCode : 500;
  return typeof status === 'number' && status >= 400 ? status : 500;
}
