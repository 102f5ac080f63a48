/** Another process with a key source. Started by `fork` with its setup as an argument; does what messages say. */
import { randomInt } from 'node:crypto';
import { awsKms, type AwsKmsOptions } from '../../src/kms/aws.js';
import { systemClock } from '../../src/keys/clock.js';
import { parsePolicies, type PurposeOptions } from '../../src/keys/policy.js';
import type { Clock } from '../../src/keys/ports.js';
import { keyStoreSource } from '../../src/service/key-store-source.js';
import { postgresKeyStore } from '../../src/store/postgres.js';

export interface ProcessSetup {
  readonly databaseUrl: string;
  readonly kms: AwsKmsOptions;
  readonly application: string;
  readonly environment: string;
  readonly purpose: string;
  readonly manage: boolean;
  /** How far the clock of this machine is ahead, or behind where it is negative. */
  readonly clockErrorMs: number;
  readonly settings: PurposeOptions;
}

/** What the process is told to do. */
export type Order =
  | { readonly do: 'start' }
  | { readonly do: 'hand-out' }
  | { readonly do: 'load'; readonly fingerprint: string };

/** What the process tells: answers to orders, and revocations as they come. */
export type Report =
  | { readonly type: 'ready' }
  | { readonly type: 'started'; readonly moves: number; readonly alarms: readonly string[] }
  | {
      readonly type: 'handed-out';
      readonly fingerprints: readonly string[];
      readonly alarms: readonly string[];
    }
  | { readonly type: 'loaded'; readonly code: string | null }
  | { readonly type: 'revoked'; readonly fingerprints: readonly string[] }
  | { readonly type: 'failed'; readonly code: string; readonly alarms: readonly string[] };

const setup = JSON.parse(process.argv[2] ?? '{}') as ProcessSetup;
const { databaseUrl, kms, application, environment, purpose, manage, clockErrorMs, settings } = setup;
const clock: Clock = { ...systemClock, wall: () => systemClock.wall() + clockErrorMs };
const source = keyStoreSource({
  store: postgresKeyStore({ connectionString: databaseUrl }),
  kms: awsKms(kms),
  manage,
  actor: `process ${process.pid}`,
});
let moves = 0;
/** Codes of all alarms so far. */
const alarms: string[] = [];

const ORDERS = {
  start: async (): Promise<Report> => {
    await source.start({
      ...{ application, environment, access: 'read-write', clock },
      policies: parsePolicies({ [purpose]: settings }),
      randomBelow: (below) => randomInt(below),
      emit: (event) => {
        if (event.type === 'key-moved') moves++;
        if (event.type === 'alarm') alarms.push(event.code);
      },
      revoke: (fingerprints) => {
        tell({ type: 'revoked', fingerprints });
      },
      held: () => [],
    });
    return { type: 'started', moves, alarms };
  },
  'hand-out': async (): Promise<Report> => {
    const keys = await source.handOut(purpose, []);
    return { type: 'handed-out', fingerprints: keys.map((key) => key.fingerprint), alarms };
  },
  load: async ({ fingerprint }: Order & { readonly do: 'load' }): Promise<Report> => {
    const [outcome] = await source.load(purpose, [fingerprint]);
    return { type: 'loaded', code: outcome && 'error' in outcome ? outcome.error.code : null };
  },
};

function tell(report: Report): void {
  process.send?.(report);
}

process.on('message', (order: Order) => {
  ORDERS[order.do](order as never).then(tell, (error: unknown) => {
    tell({ type: 'failed', code: String((error as { code?: unknown }).code), alarms });
  });
});
tell({ type: 'ready' });
