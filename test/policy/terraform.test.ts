/** The Terraform form: well-formed, and the same policies; by Terraform itself where it is installed. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { awsDocuments } from '../../src/policy/documents.js';
import { parseSettings, type Tier } from '../../src/policy/settings.js';
import { terraform } from '../../src/policy/terraform.js';

const KEK = 'arn:aws:kms:eu-central-1:111122223333:key/0a1b2c3d-card';
/** An application name with everything that a string of Terraform could trip over. */
const ODD = 'shop "a" \\ %{if} $ {x}';

const settingsOf = (keks: readonly string[]) =>
  parseSettings(
    { application: ODD, environment: 'production', purposes: { 'card-number': {} } },
    {
      keks: { 'card-number': keks },
      principals: Object.fromEntries(
        ['web', 'payment', 'keyService', 'rewrap', 'administrators'].map((name) => [
          name,
          `arn:aws:iam::111122223333:role/${name}`,
        ]),
      ),
    },
  );
const settings = settingsOf([KEK]);
const documents = awsDocuments(settings);
const text = terraform(settings);
const policies = [...documents.keyPolicies.values(), ...documents.identityPolicies.values()];
const isInstalled = spawnSync('terraform', ['version']).status === 0;

describe('the Terraform configuration', () => {
  it('has one resource a document, each name once', () => {
    const names = [...text.matchAll(/^resource "(\w+)" "(\w+)" \{$/gmu)].map(
      ([, type, name]) => `${type}.${name}`,
    );
    expect(names).toEqual([
      'aws_kms_key_policy.fieldseal_eu_central_1_111122223333_0a1b2c3d_card',
      ...['payment', 'key_service', 'rewrap', 'administrators']
        .map(
          (tier) =>
            expect.stringMatching(
              new RegExp(`^aws_iam_policy\\.fieldseal_shop_\\w+_production_${tier}$`),
            ) as string,
        )
        .flatMap((name) => [name, expect.anything() as string]),
    ]);
    const attachments = names.filter((name) => name.startsWith('aws_iam_policy_attachment.'));
    expect(attachments.map((name) => name.replace('_attachment', ''))).toEqual(
      names.filter((name) => name.startsWith('aws_iam_policy.')),
    );
    expect(text).toContain(`key_id = local.fieldseal_keys["${KEK}"]`);
  });

  it('is made of nothing but blocks, attributes and JSON with the escapes of Terraform', () => {
    const rest = text.replaceAll(/jsonencode\([\s\S]*?\)\n\}/gu, '…\n}');
    for (const line of rest.split('\n')) {
      expect(line).toMatch(
        /^(?: *|# .*|resource "\w+" "\w+" \{|variable "\w+" \{|locals \{|\}| {2}(?:# .*|validation \{|\}|\w+ +=.*|\}, var\.\w+\))| {4}(?:\w+|"[^"]+") +=.*)$/,
      );
    }
    const json = [...text.matchAll(/jsonencode\(([\s\S]*?)\)\n\}/gu)].map(([, body]) =>
      body!
        .replaceAll(/local\.fieldseal_keys\[("[^"]+")\]/gu, '$1')
        .replaceAll(/local\.fieldseal_principals\["([^"]+)"\]/gu, (_, tier: string) =>
          JSON.stringify(settings.principals[tier as Tier]),
        )
        .replaceAll(/distinct\(.*\)$/gmu, '"arn:aws:kms:eu-central-1:111122223333:alias/*"')
        .replaceAll('%%{', '%{')
        .replaceAll('$${', '${'),
    );
    expect(json.map((body) => withoutLists(JSON.parse(body)))).toEqual(policies.map(withoutLists));
  });

  it('has variables with types and checks, and names account, region, keys and principals through them alone', () => {
    const variables = [...text.matchAll(/^variable "(\w+)" \{[\s\S]*?^ {2}type +=  *(.*)$/gmu)];
    expect(variables.map(([, name, type]) => [name, type])).toEqual([
      ['fieldseal_account_id', 'string'],
      ['fieldseal_region', 'string'],
      ['fieldseal_keys', 'map(string)'],
      ['fieldseal_principals', 'map(list(string))'],
    ]);
    expect(text.match(/^ {2}validation \{$/gmu)).toHaveLength(4);
    const bodies = [...text.matchAll(/jsonencode\(([\s\S]*?)\)\n\}/gu)].map(([, body]) => body!);
    expect(bodies).toHaveLength(policies.length);
    for (const body of bodies) {
      const literal = body.replaceAll(/local\.fieldseal_\w+\["[^"]+"\]/gu, '');
      expect(literal).not.toMatch(/111122223333|eu-central-1/u);
      expect(literal).not.toMatch(/(?<![%$])[%$]\{/);
    }
  });

  it('is refused where names are too long for IAM', () => {
    const long = { ...settings, application: 'a'.repeat(120) };
    expect(() => terraform(long)).toThrow(/^options\.application: .* 128 characters/);
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
    const ofTwo = terraform(settingsOf([KEK, `${KEK}-with-a-longer-name`]));
    expect(run(['fmt', '-'], ofTwo)).toBe(ofTwo);
  });

  const bodies = [...text.matchAll(/jsonencode\(([\s\S]*?)\)\n\}/gu)].map(([, body]) => body!);
  const attached = [...text.matchAll(/^ {2}roles +=  *(.*)$/gmu)].map(([, roles]) => roles!);
  /** What Terraform makes of expressions, without the provider that resources need. */
  const evaluate = (expressions: readonly string[], ...args: string[]): unknown[] => {
    writeFileSync(`${folder}/main.tf`, text.slice(0, text.indexOf('# Resource')));
    const one = `jsonencode([${expressions.map((part) => part.replaceAll('\n', ' ')).join(', ')}])\n`;
    return JSON.parse(JSON.parse(run(['console', ...args], one)) as string) as unknown[];
  };

  it('reads the policies that the JSON form has', () => {
    expect(evaluate(bodies).map(withoutLists)).toEqual(policies.map(withoutLists));
  });

  it('puts another account, region, key and principal in their places', () => {
    const moved = evaluate(
      bodies,
      '-var=fieldseal_account_id=444455556666',
      '-var=fieldseal_region=us-east-1',
    );
    expect(moved.map(withoutLists)).toEqual(
      policies.map((policy) => {
        const json = JSON.stringify(policy).replaceAll('111122223333', '444455556666');
        return withoutLists(JSON.parse(json.replaceAll('eu-central-1', 'us-east-1')));
      }),
    );
    const other = 'arn:aws:kms:eu-west-1:444455556666:key/other';
    const [ofKey] = evaluate(bodies.slice(-1), `-var=fieldseal_keys={"${KEK}"="${other}"}`);
    expect(JSON.stringify(ofKey)).not.toContain(KEK);
    expect(JSON.stringify(ofKey)).toContain(other);
    expect(JSON.stringify(ofKey)).toContain('arn:aws:kms:eu-west-1:444455556666:alias/*');
  });

  it('attaches policies to the roles of the account alone, by their names', () => {
    expect(evaluate(attached)).toEqual([['payment'], ['keyService'], ['rewrap'], ['administrators']]);
    const principals = ['role/team/pay', 'user/pay'].map((name) => `arn:aws:iam::111122223333:${name}`);
    const foreign = 'arn:aws:iam::444455556666:role/pay';
    const given = JSON.stringify({ payment: [...principals, foreign] });
    expect(evaluate(attached.slice(0, 1), `-var=fieldseal_principals=${given}`)).toEqual([['pay']]);
  });

  it.each([
    'fieldseal_account_id=12',
    'fieldseal_region=everywhere',
    'fieldseal_keys={"other"="arn:aws:kms:eu-west-1:444455556666:key/other"}',
    `fieldseal_keys={"${KEK}"="alias/card"}`,
    'fieldseal_principals={"nobody"=["arn:aws:iam::111122223333:role/x"]}',
    'fieldseal_principals={"payment"=["*"]}',
    'fieldseal_principals={"payment"=["arn:aws:iam::111122223333:root"]}',
    'fieldseal_principals={"payment"=[]}',
  ])('refuses the variable %s', (variable) => {
    writeFileSync(`${folder}/main.tf`, text.slice(0, text.indexOf('# Resource')));
    expect(spawnSync('terraform', ['plan', '-input=false', `-var=${variable}`], { cwd: folder }).status).toBe(
      1,
    );
    expect(spawnSync('terraform', ['plan', '-input=false'], { cwd: folder }).status).toBe(0);
  });
});

/** A list of one and its only member mean the same to IAM. */
function withoutLists(policy: unknown): unknown {
  return JSON.parse(JSON.stringify(policy), (_, value: unknown) =>
    Array.isArray(value) && value.length === 1 && typeof value[0] === 'string' ? value[0] : value,
  ) as unknown;
}
