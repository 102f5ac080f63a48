import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { bundleScript } from '@fieldseal/test-support';
import { after, CARD, CARD_KEKS, emulator, optionsFor, policyWith, SCOPE } from './kms.js';

/** Runs a program that has `awsKms`, as it is published, in a process of its own. */
async function runWithAwsKms(program: string, parent?: string): Promise<string> {
  const entry = fileURLToPath(new URL('../../src/kms/aws.ts', import.meta.url));
  const built = await bundleScript(entry, parent === undefined ? {} : { folder: parent });
  after(() => {
    built.remove();
  });
  const source = `import { awsKms } from ${JSON.stringify(built.file)};\n${program}`;
  const args = ['--input-type=module', '-e', source];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 10_000 });
  return stdout;
}

describe('a process with awsKms', () => {
  it('is told by start() which package to install where the AWS SDK is missing', async () => {
    // Outside the repository, where no package is found.
    const stdout = await runWithAwsKms(
      `const kms = awsKms({ region: 'eu-central-1', keks: { p: ['alias/a'] } });
       await kms.start(['p'], () => undefined).catch(({ code, message }) => console.log(code, message));`,
      tmpdir(),
    );
    expect(stdout).toContain('ERR_CONFIG_PEER_MISSING');
    expect(stdout).toContain('npm install @aws-sdk/client-kms');
  });

  it('ends by itself although nobody closed it, and shows no credentials when printed', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    const stdout = await runWithAwsKms(
      `import { inspect } from 'node:util';
       const context = ${JSON.stringify(CARD)};
       const kms = awsKms(${JSON.stringify(optionsFor(kms))});
       await kms.start([context.purpose], () => undefined);
       const { wrap } = await kms.generate(kms.keks(context.purpose)[0], context);
       await kms.unwrap([wrap], context);
       console.log(JSON.stringify(kms.calls()), inspect(kms, { depth: 9, showHidden: true }), JSON.stringify(kms));`,
    );
    expect(stdout).toContain('{"DescribeKey":2,"GenerateDataKey":1,"Decrypt":1}');
    expect(stdout).not.toContain(kms.credentials().secretAccessKey);
  });

  it('with GenerateDataKey alone writes, proves that it can do no more, and ends by itself', async () => {
    const web = [{ Effect: 'Allow', Action: 'kms:GenerateDataKey', Resource: '*' }] as const;
    const kms = await emulator({ createKeys: CARD_KEKS, policy: policyWith({ web }) });
    const options = { ...optionsFor(kms), credentials: kms.credentials('web') };
    const stdout = await runWithAwsKms(
      `const scope = ${JSON.stringify(SCOPE)};
       const kms = awsKms(${JSON.stringify(options)});
       await kms.startWriteOnly([scope], (event) => console.log(JSON.stringify(event)));
       const { kek, wrapped } = await kms.generateEnvelope(kms.keks(scope.purpose)[0], scope);
       const refused = await kms.unwrapEnvelope(kek, wrapped, scope).catch(({ code }) => code);
       console.log(JSON.stringify([await kms.notDenied(scope), refused, kms.calls()]));`,
    );
    expect(JSON.parse(stdout)).toEqual([
      [],
      'ERR_KMS_WRITE_ONLY',
      { GenerateDataKey: 5, Decrypt: 2, ReEncrypt: 2 },
    ]);
  });
});
