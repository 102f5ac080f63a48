/**
 * The configuration of `fieldseal policy`, which prints who may do what: `npm run demo` puts what it prints into force.
 * The ARNs of the KEKs are known when the keys are made, so they come from the environment.
 */
import 'reflect-metadata';
import { z } from 'zod';
import { shopDataSource } from './config/data-source.js';
import { cardDelivery } from './config/environment.js';
import { APPLICATION, ENVIRONMENT, shopPurposes } from './config/purposes.js';

const { KEK_ARNS = '{}' } = process.env;
const delivery = cardDelivery();

export const options = {
  application: APPLICATION,
  environment: ENVIRONMENT,
  purposes: shopPurposes(delivery),
};

/** With sealed delivery of cards there is a key store, and the key tier that looks after it. */
const hasKeyStore = delivery === 'sealed';

/** IAM users of the local KMS, whose account is 000000000000. */
const principal = (name: string): string => `arn:aws:iam::000000000000:user/${name}`;

export const tiers = {
  keks: z.record(z.string(), z.array(z.string())).parse(JSON.parse(KEK_ARNS)),
  principals: {
    web: principal('web'),
    payment: principal('payment'),
    ...(hasKeyStore && { keyService: principal('keys') }),
    administrators: principal('administrator'),
  },
  database: {
    roles: { web: 'shop_web', payment: 'shop_payment', ...(hasKeyStore && { keyService: 'shop_keys' }) },
  },
};

/** Read for its entities only. */
export const dataSource = shopDataSource('postgres://');
