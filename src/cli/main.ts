#!/usr/bin/env node
/** The `fieldseal` binary: a table of commands, exit codes, one line per error. */
import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import { isError, isFieldSealError } from '../errors.js';
import { devKmsCommand } from './dev-kms.js';
import { localKekCommand } from './local-kek.js';
import { policyCommand } from './policy.js';
import { storeCommand } from './store.js';

const COMMANDS: readonly (() => Command)[] = [devKmsCommand, localKekCommand, policyCommand, storeCommand];

/** 0: done. 1: the command failed. 2: it was called wrongly. */
const FAILED = 1;
const MISUSED = 2;

const STUCK =
  'ERR_CONFIG_OPTION: the command ended before it was done: it waited for something that never happens, such as a ' +
  'top-level await of the configuration module that does not settle.\n';

let isDone = false;
// Node ends a process that waits for what can never happen, with exit code 0 and without a word.
process.on('exit', () => {
  if (isDone) return;
  process.stderr.write(STUCK);
  process.exitCode = FAILED;
});
void run(process.argv).then((code) => {
  isDone = true;
  process.exitCode = code;
});

async function run(argv: readonly string[]): Promise<number> {
  const program = new Command('fieldseal')
    .description('Field-level envelope encryption: operation.')
    .version(ownVersion(), '--version', 'print the version of this package');
  for (const makeCommand of COMMANDS) program.addCommand(makeCommand());
  throwInsteadOfExit(program);
  try {
    await program.parseAsync(argv);
    return 0;
  } catch (error) {
    return report(error);
  }
}

/** Of the package.json above, wherever in it this file was built to. */
function ownVersion(): string {
  const { version } = createRequire(import.meta.url)('fieldseal/package.json') as {
    readonly version: string;
  };
  return version;
}

/** Commander prints its own errors, in one line, before it throws. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : MISUSED;
  if (isFieldSealError(error)) process.stderr.write(`${error.code}: ${error.message}\n`);
  // Messages of others may hold anything, query parameters for instance; their name is enough to report a bug.
  else process.stderr.write(`Unexpected ${isError(error) ? error.name : 'error'}.\n`);
  return FAILED;
}

/** Commander repeats arguments that it does not understand: of a mistyped `--database-url=…` the URL, password included. */
function withoutValues(text: string): string {
  return text.replace(/(unknown option '[^'=]*)=.*'/su, "$1=…'").replace(/'[^' ]*:\/\/.*'/su, "'…'");
}

function throwInsteadOfExit(command: Command): void {
  command.exitOverride().showSuggestionAfterError(false);
  command.configureOutput({
    outputError: (text, write) => {
      write(withoutValues(text));
    },
  });
  command.commands.forEach(throwInsteadOfExit);
}
