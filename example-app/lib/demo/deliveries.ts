/** What the story says otherwise when cards are sealed to key pairs. */

import type { CardDelivery } from '../../config/purposes.js';

export interface DeliveryTexts {
  readonly tiers: string;
  readonly web: string;
  readonly payment: string;
  readonly rows: string;
  readonly takeOver: string;
  readonly kmsCalls: string;
}

const ENVELOPE: DeliveryTexts = {
  tiers: 'two tiers',
  web: 'GenerateDataKey; INSERT, SELECT of masks, states and ids',
  payment: 'Decrypt; SELECT, UPDATE of states; no port',
  rows: 'Cells carry their own data key, wrapped by the KMS; each record has another one.',
  takeOver: 'Its database role, and its KMS credentials with a stolen copy of the tables:',
  kmsCalls: 'The web tier makes keys, the payment tier opens them; + allowed, - denied:',
};

const SEALED: DeliveryTexts = {
  tiers: 'three tiers',
  web: 'public keys of cards, GenerateDataKey for names; INSERT, SELECT of masks, states and ids',
  payment: 'Decrypt; SELECT of key pairs and rows, UPDATE of states; no port',
  rows: 'Cells of a card carry their own key, sealed to a key pair, those of a customer one that the KMS has wrapped.',
  takeOver: 'Its database role, and its KMS credentials with a stolen copy of the tables and the key store:',
  kmsCalls:
    'The key tier makes key pairs, the web tier keys of customers alone, the payment tier opens; + allowed, - denied:',
};

const TEXTS: Readonly<Record<CardDelivery, DeliveryTexts>> = { envelope: ENVELOPE, sealed: SEALED };

export function textsOf(cardDelivery: CardDelivery): DeliveryTexts {
  return TEXTS[cardDelivery];
}
