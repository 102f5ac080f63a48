/**
 * The key tier, with sealed delivery of cards: looks after the key pairs in the key store, and publishes the signed list
 * of their public halves, under which the web tier seals. Like the payment tier it listens on no port.
 */
import { Cron } from 'croner';
import { PublicKeyLists } from '../app/services/public-key-lists.js';
import { keysSettings } from '../config/environment.js';
import { shopFieldSeal } from '../config/field-seal.js';
import { managedKeys } from '../config/key-sources.js';
import { storedPurposes } from '../config/purposes.js';
import { runTier } from '../config/tier.js';

await runTier('keys', async (log) => {
  const settings = keysSettings();
  const purposes = storedPurposes(settings.CARD_DELIVERY);
  const keys = managedKeys(settings);
  const seal = await shopFieldSeal({
    purposes,
    keys,
    onEvent: (event) => log.info({ event }, 'field seal'),
  });
  const lists = new PublicKeyLists(settings.DATABASE_URL);
  const publish = async (): Promise<void> => {
    for (const purpose of Object.keys(purposes)) {
      await lists.publish(purpose, await keys.publicKeyList(purpose, settings.LIST_SIGNING_KEY));
      log.info({ purpose }, 'list published');
    }
  };
  let publishing = publish();
  await publishing;
  // The list before serves on until its end, an hour or two away.
  const failed = (error: unknown): void => log.error({ err: error }, 'no list published, cron tries again');
  const cron = new Cron(settings.PUBLISH_CRON, { catch: failed }, () => (publishing = publish()));
  log.info('ready');
  return async () => {
    cron.stop();
    await publishing.catch(() => undefined);
    await seal.close();
  };
});
