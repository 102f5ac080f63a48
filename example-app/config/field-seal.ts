import { createFieldSeal, keyStoreSource, type FieldSeal } from 'fieldseal';
import { awsKms, type AwsCredentials } from 'fieldseal/aws-kms';
import { postgresKeyStore } from 'fieldseal/postgres';

export interface KeyPlaces {
  /** Database of the key store. */
  readonly keyStoreUrl: string;
  readonly kms: { readonly region: string; readonly endpoint: string; readonly credentials: AwsCredentials };
}

/** The shop's keys: two purposes, each under two KEKs, so that no single KEK opens everything. */
export function shopFieldSeal({ keyStoreUrl, kms }: KeyPlaces): Promise<FieldSeal> {
  return createFieldSeal({
    application: 'shop',
    environment: 'demo',
    purposes: {
      'card-number': {
        class: 'pan',
        pool: { validKeys: 6, handOut: 3, lifetime: '1h' },
        key: { openCache: '2h' },
      },
      'personal-data': { pool: { validKeys: 4, handOut: 2 } },
    },
    keys: keyStoreSource({
      store: postgresKeyStore({ connectionString: keyStoreUrl }),
      kms: awsKms({
        ...kms,
        keks: {
          'card-number': ['alias/card-a', 'alias/card-b'],
          'personal-data': ['alias/pii-a', 'alias/pii-b'],
        },
      }),
    }),
  });
}
