/** `fieldseal local-kek …`: key files for `localKeks`. */
import { resolve } from 'node:path';
import { Command } from 'commander';
import { createKeyFile } from '../kms/local/create-key-file.js';

const HELP = `
The folder must belong to you or to root, and nobody else may write in it. Copy the file to a safe place before the first
start: without it everything sealed under it is lost. An existing file is never overwritten.`;

export function localKekCommand(): Command {
  const localKek = new Command('local-kek').description(
    'KEKs in files, for use without a KMS; second best to one',
  );
  localKek
    .command('create')
    .argument('<file>')
    .description('Make a key file with a new KEK, mode 0600, and print the name of the KEK')
    .addHelpText('after', HELP)
    .action(create);
  return localKek;
}

async function create(file: string): Promise<void> {
  process.stdout.write(`${await createKeyFile(resolve(file))}\n`);
}
