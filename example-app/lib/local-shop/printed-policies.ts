/** What `fieldseal policy` prints for the shop. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export interface PrintedPolicies {
  /** By key ARN. */
  readonly keyPolicies: Readonly<Record<string, unknown>>;
  /** SQL, for the shop's database. */
  readonly grants: string;
  /** SQL, for the database of the key store; a comment where there is none. */
  readonly keyStoreGrants: string;
}

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
  const print = printer(config, env);
  const [json, grants, keyStoreGrants] = await Promise.all([
    print('--format', 'json'),
    print('--format', 'sql', '--database', 'application'),
    print('--format', 'sql', '--database', 'key-store'),
  ]);
  const { keyPolicies } = JSON.parse(json) as Pick<PrintedPolicies, 'keyPolicies'>;
  return { keyPolicies, grants, keyStoreGrants };
}

function printer(config: string, env: Readonly<Record<string, string>>) {
  return async (...flags: readonly string[]): Promise<string> => {
    try {
      const { stdout } = await promisify(execFile)(
        process.execPath,
        [COMMAND, 'policy', '--config', config, ...flags],
        { env: { PATH: process.env.PATH, ...env } },
      );
      return stdout;
    } catch (error) {
      throw new PolicyError((error as { readonly stderr: string }).stderr);
    }
  };
}
