import type { FastifyInstance, RouteShorthandOptions } from 'fastify';
import type { DataSource } from 'typeorm';
import { CardsController } from '../app/controllers/cards-controller.js';
import { CustomersController } from '../app/controllers/customers-controller.js';
import { STYLE } from '../app/views/style.js';

export function drawRoutes(app: FastifyInstance, dataSource: DataSource): void {
  const customers = new CustomersController(dataSource);
  const cards = new CardsController(dataSource);
  // After the body is read, since the token is in the form.
  const form: RouteShorthandOptions = {
    preHandler: (request, reply, done) => {
      app.csrfProtection(request, reply, done);
    },
  };

  app.get('/', (_request, reply) => reply.redirect('/customers/new'));
  app.get('/style.css', (_request, reply) => reply.type('text/css').send(STYLE));
  app.get('/customers/new', customers.new);
  app.post('/customers', form, customers.create);
  app.get('/customers/:customerId', customers.show);
  app.get('/customers/:customerId/cards/new', cards.new);
  app.post('/customers/:customerId/cards', form, cards.create);
}
