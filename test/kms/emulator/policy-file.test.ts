import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startKmsEmulator } from '../../../src/kms/emulator/emulator.js';
import { after, emulator, failure, policyWith, SECRET } from '../kms.js';

const PRINCIPAL = policyWith({}).principals[0];

function file(content: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'fieldseal-policy-'));
  after(() => {
    rmSync(folder, { recursive: true });
  });
  const path = join(folder, 'policy.json');
  writeFileSync(path, content);
  return path;
}

const statement = (change: object) => ({
  principals: [
    { ...PRINCIPAL, policy: { Statement: [{ Effect: 'Allow', Action: 'kms:*', Resource: '*', ...change }] } },
  ],
});

const REFUSED: readonly (readonly [name: string, policy: unknown, message: string])[] = [
  ['no object', [PRINCIPAL], 'document: expected { "principals": […] }, got a list'],
  [
    'no members',
    {},
    'principals: expected a list of principals, each with name, accessKeyId, secretAccessKey and policy, got nothing',
  ],
  ['no principals', { principals: [] }, 'principals: expected one or more'],
  [
    'an unknown member',
    { principals: [PRINCIPAL], extra: 1 },
    'document: expected principals alone, got extra',
  ],
  [
    'a short secret',
    { principals: [{ ...PRINCIPAL, secretAccessKey: 'short' }] },
    'principals[0].secretAccessKey: expected a text of 16 characters or more, got a text of 5',
  ],
  [
    'no secret',
    { principals: [PRINCIPAL, { ...PRINCIPAL, secretAccessKey: undefined }] },
    'principals[1].secretAccessKey: expected a text of 16 characters or more, got nothing',
  ],
  [
    'a name with a space',
    { principals: [{ ...PRINCIPAL, name: 'the web' }] },
    'principals[0].name: expected 1 to 64 letters, digits and _+=,.@-, got a text of 7',
  ],
  [
    'an accessKeyId of another form',
    { principals: [{ ...PRINCIPAL, accessKeyId: 'WEB_ACCESS_KEY_0' }] },
    'principals[0].accessKeyId: expected 16 to 128 letters and digits, got a text of 16',
  ],
  [
    'no policy',
    { principals: [{ ...PRINCIPAL, policy: undefined }] },
    'principals[0].policy: expected { "Statement": […] }, got nothing',
  ],
  [
    'a policy of another form',
    { principals: [{ ...PRINCIPAL, policy: [] }] },
    'principals[0].policy: expected { "Statement": […] }, got an empty list',
  ],
  [
    'one statement that is no list',
    { principals: [{ ...PRINCIPAL, policy: { Statement: {} } }] },
    'principals[0].policy.Statement: expected a list of statements, got an object',
  ],
  [
    'one name twice',
    { principals: [PRINCIPAL, { ...PRINCIPAL, accessKeyId: 'ANOTHERACCESSKEY' }] },
    'principals: expected a name of its own for each, got one twice',
  ],
  [
    'one access key twice',
    { principals: [PRINCIPAL, { ...PRINCIPAL, name: 'x' }] },
    'principals: expected an accessKeyId of its own for each, got one twice',
  ],
  [
    'an effect of another word',
    statement({ Effect: 'Permit' }),
    'principals[0].policy.Statement[0].Effect: expected "Allow" or "Deny", got a text of 6',
  ],
  [
    'an action that is no text',
    statement({ Action: 7 }),
    'principals[0].policy.Statement[0].Action: expected a text or a list of texts, got a number',
  ],
  [
    'NotAction',
    statement({ NotAction: 'kms:Decrypt' }),
    'principals[0].policy.Statement[0]: expected Sid, Effect, Action, Resource, Condition alone, got NotAction',
  ],
  [
    'a principal in an identity policy',
    statement({ Principal: '*' }),
    'principals[0].policy.Statement[0]: expected Sid, Effect, Action, Resource, Condition alone, got Principal',
  ],
  [
    'an unknown operator',
    statement({ Condition: { NumericEquals: { 'kms:RequestAlias': 'a' } } }),
    'principals[0].policy.Statement[0].Condition.NumericEquals: expected an operator that the emulator knows',
  ],
  [
    'an unknown condition key',
    statement({ Condition: { StringEquals: { 'kms:ViaService': 'a' } } }),
    'principals[0].policy.Statement[0].Condition.StringEquals.kms:ViaService: expected a condition key that the emulator knows',
  ],
];

/** What zod says where nobody says it better. */
const RAW = /Invalid|Unrecognized|Too (?:small|big)|received/u;

describe('a policy file', () => {
  it('names the principals', async () => {
    const kms = await emulator({ policyFile: file(JSON.stringify(policyWith({ web: [] }))) });
    expect(kms.principals).toEqual(['admin', 'web']);
    expect(() => kms.credentials('nobody')).toThrow(/it has admin, web/);
  });

  it.each(REFUSED)('with %s is refused, saying where', async (_name, policy, message) => {
    const start = startKmsEmulator({ policyFile: file(JSON.stringify(policy)) });
    const error = await failure('ERR_CONFIG_OPTION', start);
    expect(error.message).toContain(`policy.json: ${message}`);
    expect(error.message).not.toMatch(RAW);
    expect(error.message).not.toContain(SECRET);
  });

  it('that is no JSON, or not there, is refused without repeating it', async () => {
    const noJson = await failure('ERR_CONFIG_OPTION', startKmsEmulator({ policyFile: file('secret!') }));
    expect(noJson.message).toMatch(/is not JSON/);
    expect(noJson.message).not.toContain('secret!');
    const missing = await failure('ERR_CONFIG_OPTION', startKmsEmulator({ policyFile: '/nowhere/p.json' }));
    expect(missing.message).toMatch(/cannot be read \(ENOENT\)/);
  });

  it.each([
    ['all that is printed', { keyPolicies: {}, identityPolicies: { web: { Statement: [] } } }],
    ['one tier', { identityPolicies: { web: { Statement: [] } } }],
  ])(
    'that is the output of `fieldseal policy` is refused, saying what it lacks: %s',
    async (_name, printed) => {
      const { message } = await failure(
        'ERR_CONFIG_OPTION',
        startKmsEmulator({ policyFile: file(JSON.stringify(printed)) }),
      );
      expect(message).toMatch(/expected \{ "principals": .*accessKeyId.*secretAccessKey/u);
      expect(message).toMatch(/got the output of `fieldseal policy`/u);
      expect(message).not.toMatch(RAW);
    },
  );

  it('does not go with a policy', async () => {
    const both = startKmsEmulator({ policyFile: file('{}'), policy: policyWith({}) });
    await failure('ERR_CONFIG_OPTION', both);
  });
});
