import { createFieldSeal, kmsSource, type FieldSeal, type FieldSealEvent } from 'fieldseal';
import { awsKms, type AwsKmsOptions } from 'fieldseal/aws-kms';
import { APPLICATION, ENVIRONMENT, KEKS, shopPurposes } from './purposes.js';

export interface SealSettings {
  /** The web tier only writes, the payment tier only reads; no process does both. */
  readonly access: 'write-only' | 'read-only';
  readonly cardDelivery: string;
  readonly region: string;
  /** By purpose. Default: their aliases. */
  readonly keks?: Readonly<Record<string, readonly string[]>>;
  /** Default: what the AWS SDK finds, on AWS the role of the task, on this machine the variables that `npm run demo` sets. */
  readonly kms?: Pick<AwsKmsOptions, 'endpoint' | 'credentials'>;
  readonly onEvent?: (event: FieldSealEvent) => void;
}

/** The field seal of one tier. `kmsSource` keeps no keys: there is no key store. */
export function shopFieldSeal({
  access,
  cardDelivery,
  region,
  keks = KEKS,
  kms,
  onEvent,
}: SealSettings): Promise<FieldSeal> {
  return createFieldSeal({
    application: APPLICATION,
    environment: ENVIRONMENT,
    access,
    purposes: shopPurposes(cardDelivery),
    keys: kmsSource({
      kms: awsKms({ ...kms, region, keks, attempts: 2, timeouts: { totalMs: 4_000 } }),
    }),
    ...(onEvent && { onEvent }),
  });
}
