import type { PurposeOptions } from 'fieldseal';

/** Bound into every cell: what one environment sealed no other opens. All tiers use the same two names. */
export const APPLICATION = 'shop';
export const ENVIRONMENT = 'demo';

/** KEKs by purpose. Two each, so that no single one opens everything. */
export const KEKS: Readonly<Record<string, readonly string[]>> = {
  'card-number': ['alias/card-a', 'alias/card-b'],
  'personal-data': ['alias/pii-a', 'alias/pii-b'],
};

/** The setting CARD_DELIVERY. Without `pool`: a web tier with the keys of a pool could read what it has stored. */
export const CARD_DELIVERIES = ['envelope', 'sealed'] as const;
export type CardDelivery = (typeof CARD_DELIVERIES)[number];

/**
 * Envelope delivery: each record has a data key of its own, which lies wrapped in its cells. A writer needs
 * GenerateDataKey and nothing that opens. Sealed delivery, which card numbers may have: each record has a session key,
 * sealed to a key pair of the key store. A writer needs public keys and no KMS.
 */
export function shopPurposes(cardDelivery: CardDelivery): Record<string, PurposeOptions> {
  return { ...storedPurposes(cardDelivery), 'personal-data': { delivery: 'envelope' } };
}

/** Those that the key tier looks after, where their delivery is sealed: it has no right to the KEKs of others. */
export function storedPurposes(cardDelivery: CardDelivery): Record<string, PurposeOptions> {
  return {
    'card-number': {
      class: 'pan',
      delivery: cardDelivery,
      key: { openCache: '1s' }, // A card is opened once for each charge: its key is of no use afterwards.
    },
  };
}
