/** A configuration module with entities, bundled apart from the command as a user's own is. */
import { dataSource as dataSourceOf } from '../policy/entities.js';

const key = (name: string): string => `arn:aws:kms:eu-central-1:111122223333:key/${name}`;
const role = (name: string): string => `arn:aws:iam::111122223333:role/${name}`;

export const options = {
  application: 'shop',
  environment: 'production',
  purposes: {
    'card-number': { delivery: 'envelope', index: 'kms' },
    'personal-data': { delivery: 'sealed', index: 'later' },
    reports: {},
  },
  keys: { password: 'a-secret-of-the-configuration' },
};

export const tiers = {
  keks: { 'card-number': [key('card')], 'personal-data': [key('pii')], reports: [key('reports')] },
  macKeys: { 'card-number': key('mac') },
  principals: {
    web: role('web'),
    payment: role('payment'),
    keyService: role('key-service'),
    rewrap: role('rewrap'),
    administrators: role('administrators'),
  },
  database: { roles: { web: 'shop_web', payment: 'shop_payment', keyService: 'shop_keys' } },
};

/** Never connected: nobody listens there. */
export const dataSource = dataSourceOf('postgres://shop:a-secret-of-the-configuration@127.0.0.1:1/shop');
