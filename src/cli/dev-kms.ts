/** `fieldseal dev-kms`: the KMS emulator in the foreground. */
import { once } from 'node:events';
import { Command, InvalidArgumentError } from 'commander';
import { startKmsEmulator } from '../kms/emulator/emulator.js';
import type { KmsEmulator } from '../kms/emulator/emulator.js';

interface DevKmsOptions {
  readonly port: number;
  readonly stateFile?: string;
  readonly policyFile?: string;
  readonly createKey?: readonly string[];
  readonly createMacKey?: readonly string[];
}

const DEFAULT_PORT = 4599;

export function devKmsCommand(): Command {
  return new Command('dev-kms')
    .description('Runs the AWS KMS emulator on 127.0.0.1, for development alone, until SIGINT or SIGTERM.')
    .option('--port <number>', 'TCP port, 0 for any free one', parsePort, DEFAULT_PORT)
    .option('--state-file <path>', 'keeps keys over restarts; holds them in the clear')
    .option('--policy-file <path>', 'principals and what they may do; default: one that may do everything')
    .option('--create-key <alias...>', "makes a symmetric key per alias ('alias/…') where there is none")
    .option(
      '--create-mac-key <alias...>',
      "makes an HMAC_256 key per alias where there is none, for index: 'kms'",
    )
    .action(runDevKms);
}

async function runDevKms(options: DevKmsOptions): Promise<void> {
  const stopped = stopSignal();
  const { createKey: createKeys = [], createMacKey: createMacKeys = [], ...others } = options;
  const emulator = await startKmsEmulator({ ...others, createKeys, createMacKeys });
  process.stdout.write(introduction(emulator, options.policyFile === undefined));
  await stopped;
  await emulator.close();
}

function introduction(emulator: KmsEmulator, secretsArePublic: boolean): string {
  const lines = [
    `KMS emulator: ${emulator.endpoint}`,
    `Region: ${emulator.region}`,
    ...emulator.principals.map(
      (name) => `Principal ${name}: ${credentialsOf(emulator, name, secretsArePublic)}`,
    ),
    // Of the keys: who may only Decrypt, or make MACs, cannot look an alias up.
    ...Object.entries(emulator.aliases()).map(([alias, arn]) => `${alias}  ${arn}`),
    'Stop with Ctrl-C.',
  ];
  return `${lines.join('\n')}\n`;
}

/** The built-in principal's secret is public; secrets of a policy file stay there. */
function credentialsOf(emulator: KmsEmulator, name: string, secretIsPublic: boolean): string {
  const { accessKeyId, secretAccessKey } = emulator.credentials(name);
  const secret = secretIsPublic ? secretAccessKey : '(see the policy file)';
  return `AWS_ACCESS_KEY_ID=${accessKeyId} AWS_SECRET_ACCESS_KEY=${secret}`;
}

/** Listens from the start, so that a signal during start-up is not lost. */
async function stopSignal(): Promise<void> {
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
}

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw new InvalidArgumentError('Expected a port from 0 to 65535.');
}
