/** A wrapped private key out of a stolen key store, and the KMS that is asked to open it. */
import { DecryptCommand } from '@aws-sdk/client-kms';
import { Client } from 'pg';
import { APPLICATION, ENVIRONMENT } from '../../config/purposes.js';
import type { LocalKeyStore } from '../local-shop/local-key-store.js';
import { kmsClient } from '../local-shop/local-kms.js';
import type { LocalShop } from '../local-shop/local-shop.js';

interface Wrap {
  readonly kek: string;
  readonly wrapped: Buffer;
  readonly wrap_id: string;
}

const ONE_PAIR = `SELECT kek, wrapped, wrap_id FROM fieldseal.key_wraps JOIN fieldseal.data_keys USING (fingerprint)
  WHERE kind = 'pair' LIMIT 1`;

/** With the web tier's credentials, and everything that has to be known for it. */
export async function decryptStolenPair({ kms }: LocalShop, keyStore: LocalKeyStore): Promise<void> {
  const { kek, wrapped, wrap_id: wrapId } = await stolenWrap(keyStore);
  const client = kmsClient(kms, 'web');
  try {
    await client.send(
      new DecryptCommand({
        KeyId: kek,
        CiphertextBlob: wrapped,
        EncryptionContext: {
          ...{ application: APPLICATION, environment: ENVIRONMENT, purpose: 'card-number' },
          ...{ kind: 'pair', delivery: 'sealed', wrapId },
        },
      }),
    );
  } finally {
    client.destroy();
  }
}

async function stolenWrap({ admin }: LocalKeyStore): Promise<Wrap> {
  const client = new Client({ connectionString: admin });
  await client.connect();
  try {
    const { rows } = await client.query<Wrap>(ONE_PAIR);
    return rows[0]!;
  } finally {
    await client.end();
  }
}
