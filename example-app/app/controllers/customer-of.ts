import type { FastifyRequest } from 'fastify';
import type { DataSource } from 'typeorm';
import { z } from 'zod';
import { Customer } from '../models/customer.js';

const params = z.object({ customerId: z.uuid() });

/**
 * The customer in the address with cards and charges, as far as the web tier may read them. Knowing the id is all that this
 * example asks of a visitor; a shop has a login here.
 */
export async function customerOf(
  dataSource: DataSource,
  request: FastifyRequest,
): Promise<Customer | undefined> {
  const parsed = params.safeParse(request.params);
  if (!parsed.success) return undefined;
  const found = await dataSource.getRepository(Customer).findOne({
    where: { id: parsed.data.customerId },
    relations: { cards: { charges: true } },
    order: { cards: { createdAt: 'ASC', charges: { createdAt: 'ASC' } } },
  });
  return found ?? undefined;
}
