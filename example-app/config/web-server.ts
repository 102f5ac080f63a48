import cookie from '@fastify/cookie';
import csrf from '@fastify/csrf-protection';
import formbody from '@fastify/formbody';
import helmet from '@fastify/helmet';
import { fastify, type FastifyBaseLogger, type FastifyInstance } from 'fastify';
import type { DataSource } from 'typeorm';
import { handleErrors } from '../app/controllers/errors.js';
import { render } from '../app/controllers/render.js';
import { errorPage } from '../app/views/errors/error.js';
import { drawRoutes } from './routes.js';

/** A form with its fields at their longest takes less than this. */
const MAX_BODY_BYTES = 16_384;

export interface WebParts {
  readonly dataSource: DataSource;
  readonly log: FastifyBaseLogger;
  readonly cookieSecret: string;
}

export async function webServer({ dataSource, log, cookieSecret }: WebParts): Promise<FastifyInstance> {
  const app = fastify({
    loggerInstance: log,
    bodyLimit: MAX_BODY_BYTES,
    frameworkErrors: (_error, _request, reply) => void render(reply, errorPage(400), 400),
  });
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        styleSrc: ["'self'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
        baseUri: ["'none'"],
      },
    },
  });
  await app.register(formbody);
  await app.register(cookie, { secret: cookieSecret });
  await app.register(csrf, {
    cookieOpts: { signed: true, httpOnly: true, sameSite: 'strict', path: '/', secure: 'auto' },
  });
  handleErrors(app);
  drawRoutes(app, dataSource);
  return app;
}
