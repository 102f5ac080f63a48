import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startKmsEmulator } from '../../../src/kms/emulator/emulator.js';
import { after, emulator, failure, policyWith } from '../kms.js';

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

const REFUSED: readonly (readonly [name: string, policy: object, message: RegExp])[] = [
  ['no principals', { principals: [] }, /principals/],
  ['an unknown member', { principals: [PRINCIPAL], extra: 1 }, /extra/],
  [
    'a short secret',
    { principals: [{ ...PRINCIPAL, secretAccessKey: 'short' }] },
    /principals\.0\.secretAccessKey/,
  ],
  [
    'one name twice',
    { principals: [PRINCIPAL, { ...PRINCIPAL, accessKeyId: 'ANOTHERACCESSKEY' }] },
    /one name/,
  ],
  ['one access key twice', { principals: [PRINCIPAL, { ...PRINCIPAL, name: 'x' }] }, /one accessKeyId/],
  [
    'an effect of another word',
    statement({ Effect: 'Permit' }),
    /principals\.0\.policy\.Statement\.0\.Effect/,
  ],
  ['NotAction', statement({ NotAction: 'kms:Decrypt' }), /NotAction/],
  ['a principal in an identity policy', statement({ Principal: '*' }), /Principal/],
  [
    'an unknown operator',
    statement({ Condition: { NumericEquals: { 'kms:RequestAlias': 'a' } } }),
    /Condition/,
  ],
  [
    'an unknown condition key',
    statement({ Condition: { StringEquals: { 'kms:ViaService': 'a' } } }),
    /Condition/,
  ],
];

describe('a policy file', () => {
  it('names the principals', async () => {
    const kms = await emulator({ policyFile: file(JSON.stringify(policyWith({ web: [] }))) });
    expect(kms.principals).toEqual(['admin', 'web']);
    expect(() => kms.credentials('nobody')).toThrow(/it has admin, web/);
  });

  it.each(REFUSED)('with %s is refused, saying where', async (_name, policy, message) => {
    const start = startKmsEmulator({ policyFile: file(JSON.stringify(policy)) });
    const error = await failure('ERR_CONFIG_OPTION', start);
    expect(error.message).toMatch(message);
    expect(error.message).toContain('policy.json');
  });

  it('that is no JSON, or not there, is refused without repeating it', async () => {
    const noJson = await failure('ERR_CONFIG_OPTION', startKmsEmulator({ policyFile: file('secret!') }));
    expect(noJson.message).toMatch(/is not JSON/);
    expect(noJson.message).not.toContain('secret!');
    const missing = await failure('ERR_CONFIG_OPTION', startKmsEmulator({ policyFile: '/nowhere/p.json' }));
    expect(missing.message).toMatch(/cannot be read \(ENOENT\)/);
  });

  it('does not go with a policy', async () => {
    const both = startKmsEmulator({ policyFile: file('{}'), policy: policyWith({}) });
    await failure('ERR_CONFIG_OPTION', both);
  });
});
