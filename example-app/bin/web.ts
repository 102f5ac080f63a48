/** The web tier: takes customers and cards from outside. It cannot read back what it writes. */
import 'reflect-metadata';
import { attachFieldSeal } from 'fieldseal/typeorm';
import { shopDataSource } from '../config/data-source.js';
import { SettingsError, webSettings } from '../config/environment.js';
import { shopFieldSeal } from '../config/field-seal.js';
import { webKeys } from '../config/key-sources.js';
import { shopPurposes } from '../config/purposes.js';
import { runTier } from '../config/tier.js';
import { webServer } from '../config/web-server.js';

await runTier('web', async (log) => {
  const settings = webSettings();
  const seal = await shopFieldSeal({
    access: 'write-only',
    purposes: shopPurposes(settings.CARD_DELIVERY),
    keys: webKeys(settings),
    onEvent: (event) => log.info({ event }, 'field seal'),
  });
  // The role of this tier inserts, and selects no cell: nothing is read back, and no select names a cell.
  const dataSource = attachFieldSeal(shopDataSource(settings.DATABASE_URL), seal, {
    insertOnly: true,
    selectCells: false,
  });
  await dataSource.initialize();
  const app = await webServer({ dataSource, log, cookieSecret: settings.COOKIE_SECRET });
  const { HOST: host, PORT: port } = settings;
  const url = await app.listen({ host, port }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new SettingsError(`Port ${port} of ${host} is taken; set PORT to another one`);
  });
  log.info({ url }, 'ready');
  return async () => {
    await app.close();
    await dataSource.destroy();
    await seal.close();
  };
});
