/** A local server that speaks the AWS KMS protocol, for development and tests. */
import type { AddressInfo } from 'node:net';
import type { Server } from 'node:http';
import { ConfigError } from '../../errors.js';
import { AuditLog } from './audit.js';
import type { AuditEntry } from './audit.js';
import { FaultPlan } from './faults.js';
import type { FaultInjector } from './faults.js';
import { newKey } from './key.js';
import { KeyTable } from './key-table.js';
import { isAliasName } from './operations/aliases.js';
import { LOCAL_POLICY, parsePolicy, readPolicyFile } from './policy-file.js';
import type { EmulatorPolicy } from './policy-file.js';
import { createKmsServer } from './server.js';
import { readStateFile, writeStateFile } from './state-file.js';

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
   * File that keeps keys and aliases over restarts, mode 0600, for one running emulator at a time. Default: nothing is
   * kept.
   */
  readonly stateFile?: string;
  /** JSON file with an {@link EmulatorPolicy}. Not together with `policy`. */
  readonly policyFile?: string;
  /** The principals. Default: one named `local` that may do everything. */
  readonly policy?: EmulatorPolicy;
  /** Aliases (`'alias/card-a'`) for which a symmetric key is made where there is none. */
  readonly createKeys?: readonly string[];
  /** Milliseconds since the epoch, for signatures, rotation, deletion and the audit log. Default `Date.now`. */
  readonly now?: () => number;
  /** Is told every plaintext key that leaves the emulator, as a copy. For canary tests alone. */
  readonly unsafeOnPlaintext?: (bytes: Buffer) => void;
}

export interface EmulatorCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** A running emulator. */
export interface KmsEmulator {
  /** `http://127.0.0.1:<port>` */
  readonly endpoint: string;
  readonly region: string;
  /** Names of the principals. */
  readonly principals: readonly string[];
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
 * @throws ConfigError `ERR_CONFIG_OPTION`: NODE_ENV is production, a file is damaged or is no policy, the port is taken.
 */
export async function startKmsEmulator(options: KmsEmulatorOptions = {}): Promise<KmsEmulator> {
  if (process.env.NODE_ENV === 'production') {
    throw optionError('The KMS emulator does not start under NODE_ENV=production; use AWS KMS.');
  }
  const { principals } = policyOf(options);
  const { now = Date.now, unsafeOnPlaintext, region = DEFAULT_REGION } = options;
  const keys = openKeyTable(options.stateFile, region, now);
  const onPlaintext = (bytes: Buffer): void => unsafeOnPlaintext?.(Buffer.from(bytes));
  createMissingKeys(keys, options.createKeys ?? [], now());
  const faults = new FaultPlan();
  const audit = new AuditLog();
  const server = createKmsServer({ keys, principals, faults, audit, now, onPlaintext });
  const port = await listen(server, options.port ?? 0);
  return {
    endpoint: `http://${HOST}:${port}`,
    region,
    principals: principals.map((one) => one.name),
    credentials: (name = 'local') => credentialsOf(principals, name),
    audit: () => audit.entries(),
    faults,
    close: () => close(server),
  };
}

function policyOf({ policy, policyFile }: KmsEmulatorOptions): EmulatorPolicy {
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

function createMissingKeys(keys: KeyTable, aliases: readonly string[], now: number): void {
  for (const alias of aliases) {
    if (!isAliasName(alias)) throw optionError(`createKeys: expected 'alias/…', got a name of another form.`);
    if (keys.find(alias) !== undefined) continue;
    const key = newKey('SYMMETRIC_DEFAULT', now);
    keys.put(key);
    keys.putAlias(alias, key.keyId);
  }
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
