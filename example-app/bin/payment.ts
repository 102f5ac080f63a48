/** The payment tier: listens on no port. A new charge or cron wakes it; it opens the card, charges it and forgets it. */
import 'reflect-metadata';
import { Cron } from 'croner';
import { attachFieldSeal } from 'fieldseal/typeorm';
import { ChargeListener } from '../app/jobs/charge-listener.js';
import { ChargeWorker } from '../app/jobs/charge-worker.js';
import { SimulatedAcquirer } from '../app/services/simulated-acquirer.js';
import { shopDataSource } from '../config/data-source.js';
import { paymentSettings } from '../config/environment.js';
import { shopFieldSeal } from '../config/field-seal.js';
import { paymentKeys } from '../config/key-sources.js';
import { shopPurposes } from '../config/purposes.js';
import { runTier } from '../config/tier.js';

await runTier('payment', async (log) => {
  const settings = paymentSettings();
  const seal = await shopFieldSeal({
    access: 'read-only',
    purposes: shopPurposes(settings.CARD_DELIVERY),
    keys: paymentKeys(settings),
    onEvent: (event) => log.info({ event }, 'field seal'),
  });
  const dataSource = attachFieldSeal(shopDataSource(settings.DATABASE_URL), seal);
  await dataSource.initialize();
  const acquirer = new SimulatedAcquirer(settings.ACQUIRER_URL, settings.ACQUIRER_DELAY_MS);
  const worker = new ChargeWorker({ dataSource, acquirer }, log);
  const wake = (): void => worker.wake();
  const listener = new ChargeListener(settings.DATABASE_URL, wake, log);
  await listener.connect();
  const cron = new Cron(settings.CHARGE_CRON, async () => {
    await listener.connect();
    wake();
  });
  wake(); // what was ordered while no payment process was there
  log.info('ready');
  return async () => {
    cron.stop();
    await listener.close();
    await worker.stop();
    await dataSource.destroy();
    await acquirer.close();
    await seal.close();
  };
});
