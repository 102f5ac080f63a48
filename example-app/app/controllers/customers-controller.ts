import type { FastifyReply, FastifyRequest } from 'fastify';
import type { DataSource } from 'typeorm';
import { cardForm, hasCard } from '../forms/card-form.js';
import { customerForm, sentCustomer } from '../forms/customer-form.js';
import { errorsOf, parseForm, type Errors } from '../forms/form.js';
import { addCard } from '../services/add-card.js';
import { Customer } from '../models/customer.js';
import { newCustomer } from '../views/customers/new.js';
import { showCustomer } from '../views/customers/show.js';
import { customerOf } from './customer-of.js';
import { render, renderNotFound } from './render.js';

export class CustomersController {
  readonly #dataSource: DataSource;

  constructor(dataSource: DataSource) {
    this.#dataSource = dataSource;
  }

  readonly new = (request: FastifyRequest, reply: FastifyReply): FastifyReply =>
    this.#form(request, reply, {}, 200);

  /** Customer, card and charge are stored together or not at all. */
  readonly create = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const customer = parseForm(customerForm, request.body);
    const card = hasCard(request.body) ? parseForm(cardForm, request.body) : undefined;
    if (!customer.isValid || card?.isValid === false) {
      return this.#form(request, reply, { ...errorsOf(customer), ...errorsOf(card) }, 422);
    }
    const { id } = await this.#dataSource.transaction(async (manager) => {
      const stored = manager.create(Customer, customer.values);
      await manager.insert(Customer, stored);
      if (card !== undefined) await addCard(manager, stored.id, card.values);
      return stored;
    });
    return reply.redirect(`/customers/${id}`, 303);
  };

  readonly show = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const customer = await customerOf(this.#dataSource, request);
    return customer === undefined ? renderNotFound(reply) : render(reply, showCustomer(customer));
  };

  #form(request: FastifyRequest, reply: FastifyReply, errors: Errors, status: number): FastifyReply {
    const csrfToken = reply.generateCsrf();
    return render(reply, newCustomer({ csrfToken, errors, sent: sentCustomer(request.body) }), status);
  }
}
