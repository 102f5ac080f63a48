/** What the processes of all tiers have in common: how they start, fail and end. */
import { isFieldSealError } from 'fieldseal';
import type { Logger } from 'pino';
import { SettingsError } from './environment.js';
import { shopLogger } from './logger.js';

/** Ends what a tier has started. */
export type Stop = () => Promise<void>;

const MAX_STOP_MS = 10_000;

/** Runs a tier until it is told to stop. What keeps it from starting is one line in the log. */
export async function runTier(name: string, start: (log: Logger) => Promise<Stop>): Promise<void> {
  const log = shopLogger(name);
  let stop: Stop = () => Promise.resolve();
  stopOnDemand(log, () => stop());
  try {
    stop = await start(log);
  } catch (error) {
    if (error instanceof SettingsError) log.fatal(error.message);
    else if (isFieldSealError(error)) log.fatal({ err: error }, 'cannot start');
    else
      log.fatal(
        { err: error },
        'cannot start: is the database there, and are host, port and addresses right?',
      );
    process.exit(1);
  }
}

function stopOnDemand(log: Logger, stop: Stop): void {
  let isStopping = false;
  const end = (reason: string): void => {
    if (isStopping) return;
    isStopping = true;
    log.info({ reason }, 'stopping');
    setTimeout(() => process.exit(1), MAX_STOP_MS).unref();
    void stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'did not stop in order');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', () => end('SIGTERM'));
  process.on('SIGINT', () => end('SIGINT'));
  // The demo and the tests start tiers with a channel, which ends with them: no tier outlives them.
  process.on('disconnect', () => end('who started this process is gone'));
}
