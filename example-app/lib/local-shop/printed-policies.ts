/** What `fieldseal policy` prints for the shop. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export interface PrintedPolicies {
  /** By key ARN. */
  readonly keyPolicies: Readonly<Record<string, unknown>>;
  /** SQL, for the shop's database. */
  readonly grants: string;
  /** SQL, for the database of the key store; empty where there is none. */
  readonly keyStoreGrants: string;
}

/** The heading of what is to be run in another database than the rest. */
const KEY_STORE = /^(?=-- Grants in the database of the key store)/mu;

const COMMAND = fileURLToPath(new URL('cli/main.mjs', import.meta.resolve('fieldseal')));

/** `fieldseal policy` refused the configuration; the message is its own. */
export class PolicyError extends Error {
  override readonly name = 'PolicyError';
}

/**
 * @param config The compiled fieldseal.config.js.
 * @param env What it reads.
 */
export async function printedPolicies(
  config: string,
  env: Readonly<Record<'KEK_ARNS' | 'CARD_DELIVERY', string>>,
): Promise<PrintedPolicies> {
  const [json, sql] = await Promise.all([print(config, 'json', env), print(config, 'sql', env)]);
  const { keyPolicies } = JSON.parse(json) as Pick<PrintedPolicies, 'keyPolicies'>;
  const [grants = '', keyStoreGrants = ''] = sql.split(KEY_STORE);
  return { keyPolicies, grants, keyStoreGrants };
}

async function print(config: string, format: string, env: Readonly<Record<string, string>>): Promise<string> {
  const command = [COMMAND, 'policy', '--config', config, '--format', format];
  try {
    const { stdout } = await promisify(execFile)(process.execPath, command, {
      env: { PATH: process.env.PATH, ...env },
    });
    return stdout;
  } catch (error) {
    throw new PolicyError((error as { readonly stderr: string }).stderr);
  }
}
