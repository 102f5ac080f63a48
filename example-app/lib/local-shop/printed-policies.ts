/** What `fieldseal policy` prints for the shop. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export interface PrintedPolicies {
  /** By key ARN. */
  readonly keyPolicies: Readonly<Record<string, unknown>>;
  /** SQL */
  readonly grants: string;
}

const COMMAND = fileURLToPath(new URL('cli/main.mjs', import.meta.resolve('fieldseal')));

/** @param config The compiled fieldseal.config.js. */
export async function printedPolicies(
  config: string,
  kekArns: Readonly<Record<string, readonly string[]>>,
): Promise<PrintedPolicies> {
  const print = async (format: string): Promise<string> => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [COMMAND, 'policy', '--config', config, '--format', format],
      { env: { PATH: process.env.PATH, KEK_ARNS: JSON.stringify(kekArns) } },
    );
    return stdout;
  };
  const [json, grants] = await Promise.all([print('json'), print('sql')]);
  const { keyPolicies } = JSON.parse(json) as Pick<PrintedPolicies, 'keyPolicies'>;
  return { keyPolicies, grants };
}
