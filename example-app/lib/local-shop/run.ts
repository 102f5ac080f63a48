/** Runs a program on a local shop and stops all of it in the end: after an error, on Ctrl-C, and when who started it is gone. */
import { isFieldSealError } from 'fieldseal';
import { PolicyError } from './printed-policies.js';
import { TierError } from './tier-process.js';
import { LocalShop, type LocalShopOptions } from './local-shop.js';

export async function runLocalShop(
  options: LocalShopOptions,
  program: (shop: LocalShop, interrupted: Promise<void>) => Promise<void>,
): Promise<void> {
  const starting = LocalShop.start(options);
  const signals = new AbortController();
  const interrupted = new Promise<void>((resolve) => {
    signals.signal.addEventListener('abort', () => {
      console.log('\nInterrupted\n  Everything that was started is stopped.');
      resolve();
    });
  });
  for (const event of ['SIGINT', 'SIGTERM', 'SIGHUP', 'disconnect']) process.on(event, () => signals.abort());
  try {
    const shop = await starting;
    const stopped = interrupted.then(() => shop.stop());
    await Promise.race([program(shop, interrupted), stopped]);
  } catch (error) {
    // What fails after an interruption fails because things are being stopped.
    if (!signals.signal.aborted) fail(error);
  } finally {
    await starting.then(
      (shop) => shop.stop(),
      () => undefined,
    );
  }
}

/** Errors that say all there is to say; of others the stack is needed. */
function fail(error: unknown): void {
  process.exitCode = 1;
  console.error('\nFailed');
  if (isFieldSealError(error)) console.error(`  ${error.code}: ${error.message}`);
  else if (error instanceof TierError || error instanceof PolicyError) console.error(`  ${error.message}`);
  else console.error(error);
}
