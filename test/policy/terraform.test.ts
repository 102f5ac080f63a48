/** The Terraform form: well-formed, and the same policies; by Terraform itself where it is installed. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { awsDocuments } from '../../src/policy/documents.js';
import { parseSettings } from '../../src/policy/settings.js';
import { terraform } from '../../src/policy/terraform.js';

const KEK = 'arn:aws:kms:eu-central-1:111122223333:key/0a1b2c3d-card';
/** An application name with everything that a string of Terraform could trip over. */
const ODD = 'shop "a" \\ %{if} $ {x}';

const settings = parseSettings(
  { application: ODD, environment: 'production', purposes: { 'card-number': {} } },
  {
    keks: { 'card-number': [KEK] },
    principals: Object.fromEntries(
      ['web', 'payment', 'keyService', 'rewrap', 'administrators'].map((name) => [
        name,
        `arn:aws:iam::111122223333:role/${name}`,
      ]),
    ),
  },
);
const documents = awsDocuments(settings);
const text = terraform(settings, documents);
const policies = [...documents.keyPolicies.values(), ...documents.identityPolicies.values()];
const isInstalled = spawnSync('terraform', ['version']).status === 0;

describe('the Terraform configuration', () => {
  it('has one resource a document, each name once', () => {
    const names = [...text.matchAll(/^resource "(\w+)" "(\w+)" \{$/gmu)].map(
      ([, type, name]) => `${type}.${name}`,
    );
    expect(names).toEqual([
      'aws_kms_key_policy.fieldseal_eu_central_1_111122223333_0a1b2c3d_card',
      ...['payment', 'key_service', 'rewrap', 'administrators'].map(
        (tier) =>
          expect.stringMatching(
            new RegExp(`^aws_iam_policy\\.fieldseal_shop_\\w+_production_${tier}$`),
          ) as string,
      ),
    ]);
    expect(text).toContain(`key_id = "${KEK}"`);
  });

  it('is made of nothing but blocks, attributes and JSON with the escapes of Terraform', () => {
    const rest = text
      .replaceAll(/jsonencode\(([\s\S]*?)\n {2}\)/gu, 'jsonencode(…)')
      .replaceAll(/jsonencode\([\s\S]*?\}\)$/gmu, '…');
    for (const line of rest.split('\n')) {
      expect(line).toMatch(/^(?:|# .*|resource "\w+" "\w+" \{|\}| {2}\w+ +=.*)$/);
    }
    expect(text).not.toMatch(/(?<![%$])[%$]\{/);
    const bodies = [...text.matchAll(/jsonencode\(([\s\S]*?)\)\n\}/gu)].map(
      ([, body]) => JSON.parse(body!.replaceAll('%%{', '%{').replaceAll('$${', '${')) as object,
    );
    expect(bodies).toEqual(policies);
  });

  it('is refused where names are too long for IAM', () => {
    const long = { ...settings, application: 'a'.repeat(120) };
    expect(() => terraform(long, documents)).toThrow(/^options\.application: .* 128 characters/);
  });
});

describe.skipIf(!isInstalled)('Terraform itself', () => {
  let folder: string;
  beforeAll(() => void (folder = mkdtempSync(`${tmpdir()}/fieldseal-terraform-`)));
  afterAll(() => rmSync(folder, { recursive: true }));

  const run = (args: readonly string[], input: string): string =>
    execFileSync('terraform', args, {
      cwd: folder,
      input,
      encoding: 'utf8',
      env: { ...process.env, CHECKPOINT_DISABLE: '1' },
      stdio: ['pipe', 'pipe', 'ignore'],
    });

  it('finds nothing to format', () => {
    expect(run(['fmt', '-'], text)).toBe(text);
  });

  it('reads the policies that the JSON form has', () => {
    const bodies = [...text.matchAll(/jsonencode\(([\s\S]*?)\)\n\}/gu)].map(([, body]) => body!);
    for (const [i, body] of bodies.entries()) {
      const printed = run(['console'], `jsonencode(${body.replaceAll('\n', ' ')})\n`);
      expect(JSON.parse(JSON.parse(printed) as string)).toEqual(policies[i]);
    }
  });
});
