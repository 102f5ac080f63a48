/** A local server that speaks the AWS KMS protocol, for development and tests. */
import type { AddressInfo } from 'node:net';
import type { Server } from 'node:http';
import { ConfigError } from '../../errors.js';
import {
  callback,
  listOf,
  optional,
  parseOptions,
  text,
  wholeNumber,
  withDefault,
  type ParsedOptions,
} from '../../keys/options.js';
import { keyArn } from './arns.js';
import { AuditLog } from './audit.js';
import type { AuditEntry } from './audit.js';
import { FaultPlan } from './faults.js';
import type { FaultInjector } from './faults.js';
import { newKey } from './key.js';
import type { KeySpec } from './key.js';
import { KeyTable } from './key-table.js';
import { isAliasName } from './operations/aliases.js';
import { LOCAL_POLICY, parsePolicy, readPolicyFile } from './policy-file.js';
import type { EmulatorPolicy } from './policy-file.js';
import { createKmsServer } from './server.js';
import { readStateFile, writeStateFile } from './state-file.js';
import { lockStateFile } from './state-lock.js';
import type { Release } from './state-lock.js';

/** Loopback only: the emulator hands out keys over plain HTTP. */
const HOST = '127.0.0.1';

const DEFAULT_REGION = 'eu-central-1';

/** Options of {@link startKmsEmulator}. */
export interface KmsEmulatorOptions {
  /** TCP port on 127.0.0.1. Default 0: any free one. */
  readonly port?: number;
  /** Region in ARNs and signatures. Default `'eu-central-1'`. */
  readonly region?: string;
  /**
   * File that keeps keys and aliases over restarts, mode 0600, for one running emulator at a time: a lock file beside it,
   * `<path>.lock`, names the process. Default: nothing is kept.
   */
  readonly stateFile?: string;
  /** JSON file with an {@link EmulatorPolicy}. Not together with `policy`. */
  readonly policyFile?: string;
  /** The principals. Default: one named `local` that may do everything. */
  readonly policy?: EmulatorPolicy;
  /** Aliases (`'alias/card-a'`) for which a symmetric key is made where there is none. */
  readonly createKeys?: readonly string[];
  /** Aliases (`'alias/card-mac'`) for which an HMAC_256 key is made where there is none, for purposes with `index: 'kms'`. */
  readonly createMacKeys?: readonly string[];
  /** Milliseconds since the epoch, for signatures, rotation, deletion and the audit log. Default `Date.now`. */
  readonly now?: () => number;
  /** Is told every plaintext key that leaves the emulator, as a copy. For canary tests alone. */
  readonly unsafeOnPlaintext?: (bytes: Buffer) => void;
}

export interface EmulatorCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const OPTIONS = {
  port: withDefault(wholeNumber(0, 65_535), 0),
  region: withDefault(text(), DEFAULT_REGION),
  stateFile: optional(text('a path')),
  policyFile: optional(text('a path')),
  // Looked at by `parsePolicy`.
  policy: (value: unknown) => value,
  createKeys: withDefault(listOf(text()), []),
  createMacKeys: withDefault(listOf(text()), []),
  now: withDefault(callback<() => number>(), Date.now),
  unsafeOnPlaintext: optional(callback<(bytes: Buffer) => void>()),
};

type Settings = ParsedOptions<typeof OPTIONS>;

/** A running emulator. */
export interface KmsEmulator {
  /** `http://127.0.0.1:<port>` */
  readonly endpoint: string;
  readonly region: string;
  /** Names of the principals. */
  readonly principals: readonly string[];
  /** ARNs of the keys by alias, those that were there already included. */
  aliases(): Readonly<Record<string, string>>;
  /**
   * Credentials of a principal. Default `'local'`.
   * @throws ConfigError `ERR_CONFIG_OPTION` when the policy has no such principal.
   */
  credentials(principal?: string): EmulatorCredentials;
  /** What was asked so far, in order, refused calls too; the last 100,000 at most. */
  audit(): readonly AuditEntry[];
  readonly faults: FaultInjector;
  /** Stops listening and cuts open connections. Idempotent. */
  close(): Promise<void>;
}

/**
 * Starts the emulator. It protects nothing: keys lie in its memory and state file in the clear.
 * @throws ConfigError `ERR_CONFIG_OPTION`: an option is wrong, NODE_ENV is production, a file is damaged, in use by another
 *   emulator or no policy, an alias is of another kind of key, the port is taken.
 */
export async function startKmsEmulator(options: KmsEmulatorOptions = {}): Promise<KmsEmulator> {
  if (process.env.NODE_ENV === 'production') {
    throw optionError('The KMS emulator does not start under NODE_ENV=production; use AWS KMS.');
  }
  const settings = parseOptions(OPTIONS, options, 'startKmsEmulator');
  const { principals } = policyOf(settings);
  const { stateFile } = settings;
  const release = stateFile === undefined ? () => undefined : await lockStateFile(stateFile);
  try {
    return await start(settings, principals, release);
  } catch (error) {
    release();
    throw error;
  }
}

async function start(
  settings: Settings,
  principals: EmulatorPolicy['principals'],
  release: Release,
): Promise<KmsEmulator> {
  const { now, unsafeOnPlaintext, region } = settings;
  const keys = openKeyTable(settings.stateFile, region, now);
  const onPlaintext = (bytes: Buffer): void => unsafeOnPlaintext?.(Buffer.from(bytes));
  createMissingKeys(keys, settings, now());
  const faults = new FaultPlan();
  const audit = new AuditLog();
  const server = createKmsServer({ keys, principals, faults, audit, now, onPlaintext });
  const port = await listen(server, settings.port);
  return {
    endpoint: `http://${HOST}:${port}`,
    region,
    principals: principals.map((one) => one.name),
    aliases: () => aliasesOf(keys),
    credentials: (name = 'local') => credentialsOf(principals, name),
    audit: () => audit.entries(),
    faults,
    close: () => close(server).finally(release),
  };
}

function policyOf({ policy, policyFile }: Settings): EmulatorPolicy {
  if (policyFile === undefined) return policy === undefined ? LOCAL_POLICY : parsePolicy(policy, 'policy');
  if (policy !== undefined) throw optionError('Expected one of policy and policyFile, got both.');
  return readPolicyFile(policyFile);
}

function openKeyTable(stateFile: string | undefined, region: string, now: () => number): KeyTable {
  if (stateFile === undefined) {
    return new KeyTable(region, { keys: new Map(), aliases: new Map() }, () => undefined, now);
  }
  const save = writeStateFile.bind(undefined, stateFile);
  return new KeyTable(region, readStateFile(stateFile), save, now);
}

/** Options that make keys, and which ones. */
const MADE = { createKeys: 'SYMMETRIC_DEFAULT', createMacKeys: 'HMAC_256' } as const;

/** All or none: nothing is made where one of the aliases is wrong. */
function createMissingKeys(keys: KeyTable, settings: Settings, now: number): void {
  const wanted = new Map<string, KeySpec>();
  for (const option of ['createKeys', 'createMacKeys'] as const) {
    for (const alias of settings[option]) {
      const spec = MADE[option];
      if (!isAliasName(alias))
        throw optionError(`${option}: expected 'alias/…', got a name of another form.`);
      if ((wanted.get(alias) ?? spec) !== spec) {
        throw optionError(
          `${alias}: expected it in one of createKeys and createMacKeys, got it in both. Name another alias.`,
        );
      }
      const found = keys.find(alias)?.spec ?? spec;
      if (found !== spec) {
        throw optionError(
          `${option}: expected ${alias} to be a key of the kind ${spec}, got one of the kind ${found}. Name another alias, or delete this one (kms:DeleteAlias).`,
        );
      }
      wanted.set(alias, spec);
    }
  }
  for (const [alias, spec] of wanted) {
    if (keys.find(alias) !== undefined) continue;
    const key = newKey(spec, now);
    keys.put(key);
    keys.putAlias(alias, key.keyId);
  }
}

function aliasesOf(keys: KeyTable): Readonly<Record<string, string>> {
  return Object.fromEntries(
    keys
      .aliases()
      .filter(([alias]) => keys.find(alias) !== undefined)
      .map(([alias, keyId]) => [alias, keyArn(keys.region, keyId)]),
  );
}

function credentialsOf(principals: EmulatorPolicy['principals'], name: string): EmulatorCredentials {
  const principal = principals.find((one) => one.name === name);
  if (principal === undefined) {
    const known = principals.map((one) => one.name).join(', ');
    throw optionError(`The emulator's policy has no principal of this name; it has ${known}.`);
  }
  return { accessKeyId: principal.accessKeyId, secretAccessKey: principal.secretAccessKey };
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        optionError(`The KMS emulator cannot listen on ${HOST}:${port} (${error.code ?? 'unknown error'}).`),
      );
    });
    server.listen(port, HOST, () => {
      resolve((server.address() as AddressInfo).port);
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => {
      resolve();
    });
    server.closeAllConnections();
  });
}

function optionError(message: string): ConfigError {
  return new ConfigError('ERR_CONFIG_OPTION', message);
}
