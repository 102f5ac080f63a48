import type { FastifyReply } from 'fastify';
import { errorPage } from '../views/errors/error.js';
import { layout, type Page } from '../views/layout.js';

/** Sends a page. Nothing of it is kept by browsers and proxies. */
export function render(reply: FastifyReply, page: Page, status = 200): FastifyReply {
  return reply
    .code(status)
    .type('text/html; charset=utf-8')
    .header('cache-control', 'no-store')
    .send(layout(page).toString());
}

export function renderNotFound(reply: FastifyReply): FastifyReply {
  return render(reply, errorPage(404), 404);
}
