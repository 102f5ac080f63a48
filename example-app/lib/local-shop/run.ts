/** Runs a program on a local shop and stops all of it in the end: after an error, on Ctrl-C, and when who started it is gone. */
import { isFieldSealError } from 'fieldseal';
import { SettingsError } from '../../config/environment.js';
import { PolicyError } from './printed-policies.js';
import { TierError } from './tier-process.js';
import { LocalShop, type LocalShopOptions } from './local-shop.js';

/**
 * @returns Whether the program came to its end. What happened instead, an interruption or an error, is printed when
 * everything has been stopped, so that it is the last word.
 */
export async function runLocalShop(
  options: LocalShopOptions,
  program: (shop: LocalShop, interrupted: Promise<void>) => Promise<void>,
): Promise<boolean> {
  const starting = LocalShop.start(options);
  const signals = new AbortController();
  const interrupted = new Promise<void>((resolve) => {
    signals.signal.addEventListener('abort', () => {
      console.log('\nInterrupted');
      resolve();
    });
  });
  for (const event of ['SIGINT', 'SIGTERM', 'SIGHUP', 'disconnect']) process.on(event, () => signals.abort());
  const errors: unknown[] = [];
  try {
    const shop = await starting;
    const stopped = interrupted.then(() => shop.stop());
    await Promise.race([program(shop, interrupted), stopped]);
  } catch (error) {
    errors.push(error);
  } finally {
    await starting.then(
      (shop) => shop.stop(),
      () => undefined,
    );
  }
  // What fails after an interruption fails because things are being stopped.
  if (signals.signal.aborted) console.log('  Everything that was started is stopped.');
  else errors.forEach(fail);
  return !signals.signal.aborted && errors.length === 0;
}

/** Reads settings before anything is started; ends this process where one is wrong. */
export function settings<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    console.error(error.message);
    process.exit(1);
  }
}

/** Errors that say all there is to say; of others the stack is needed. */
function fail(error: unknown): void {
  process.exitCode = 1;
  console.error('\nFailed');
  if (isFieldSealError(error)) console.error(`  ${error.code}: ${error.message}`);
  else if (error instanceof TierError) console.error(`  ${error.reason ?? error.message}`);
  else if (error instanceof PolicyError) console.error(`  ${error.message}`);
  else console.error(error);
}
