import type { FastifyReply, FastifyRequest } from 'fastify';
import type { DataSource } from 'typeorm';
import { cardForm } from '../forms/card-form.js';
import { parseForm, type Errors } from '../forms/form.js';
import type { Customer } from '../models/customer.js';
import { addCard } from '../services/add-card.js';
import { newCard } from '../views/cards/new.js';
import { customerOf } from './customer-of.js';
import { render, renderNotFound } from './render.js';

export class CardsController {
  readonly #dataSource: DataSource;

  constructor(dataSource: DataSource) {
    this.#dataSource = dataSource;
  }

  readonly new = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const customer = await customerOf(this.#dataSource, request);
    return customer === undefined ? renderNotFound(reply) : this.#form(reply, customer, {}, 200);
  };

  readonly create = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const customer = await customerOf(this.#dataSource, request);
    if (customer === undefined) return renderNotFound(reply);
    const card = parseForm(cardForm, request.body);
    if (!card.isValid) return this.#form(reply, customer, card.errors, 422);
    await this.#dataSource.transaction((manager) => addCard(manager, customer.id, card.values));
    return reply.redirect(`/customers/${customer.id}`, 303);
  };

  #form(reply: FastifyReply, { id }: Customer, errors: Errors, status: number): FastifyReply {
    return render(reply, newCard({ customerId: id, csrfToken: reply.generateCsrf(), errors }), status);
  }
}
