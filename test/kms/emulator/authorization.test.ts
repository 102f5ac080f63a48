import {
  CreateAliasCommand,
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyPairWithoutPlaintextCommand,
  ListAliasesCommand,
  PutKeyPolicyCommand,
  ReEncryptCommand,
} from '@aws-sdk/client-kms';
import { describe, expect, it } from 'vitest';
import type { KmsEmulator } from '../../../src/kms/emulator/emulator.js';
import type { PolicyStatement } from '../../../src/kms/emulator/policy-file.js';
import { client, emulator, exceptionOf, policyWith } from '../kms.js';

const DENIED = 'AccessDeniedException';
const CONTEXT = { application: 'shop', purpose: 'card-number', delivery: 'envelope', kind: 'data' };

const allow = (Action: string | readonly string[], rest: object = {}): PolicyStatement => ({
  Effect: 'Allow',
  Action,
  Resource: '*',
  ...rest,
});
const deny = (Action: string, rest: object = {}): PolicyStatement => ({
  ...allow(Action, rest),
  Effect: 'Deny',
});

/** An emulator with one key, `alias/a`, and one principal, `web`, beside `admin`. */
async function withWeb(...statements: PolicyStatement[]): Promise<KmsEmulator> {
  return emulator({ createKeys: ['alias/a', 'alias/b'], policy: policyWith({ web: statements }) });
}

async function dataKey(kms: KmsEmulator, principal: string, context: Record<string, string> = CONTEXT) {
  return client(kms, principal).send(
    new GenerateDataKeyCommand({ KeyId: 'alias/a', NumberOfBytes: 32, EncryptionContext: context }),
  );
}

const generate = (kms: KmsEmulator, context: Record<string, string> = CONTEXT): Promise<string> =>
  exceptionOf(dataKey(kms, 'web', context));

async function decrypt(kms: KmsEmulator, principal = 'web', DryRun = false): Promise<string> {
  const { CiphertextBlob } = await dataKey(kms, 'admin');
  const command = new DecryptCommand({
    KeyId: 'alias/a',
    CiphertextBlob,
    EncryptionContext: CONTEXT,
    DryRun,
  });
  return exceptionOf(client(kms, principal).send(command));
}

async function arnOf(kms: KmsEmulator, name: string): Promise<string> {
  const { KeyMetadata } = await client(kms, 'admin').send(new DescribeKeyCommand({ KeyId: name }));
  return KeyMetadata?.Arn ?? '';
}

async function setKeyPolicy(kms: KmsEmulator, ...statements: object[]): Promise<string> {
  const admin = { Effect: 'Allow', Principal: { AWS: userArn('admin') }, Action: 'kms:*', Resource: '*' };
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [admin, ...statements] });
  return exceptionOf(
    client(kms, 'admin').send(new PutKeyPolicyCommand({ KeyId: await arnOf(kms, 'alias/a'), Policy })),
  );
}

const userArn = (name: string): string => `arn:aws:iam::000000000000:user/${name}`;

describe('identity policies', () => {
  it('a principal with GenerateDataKey alone cannot decrypt, encrypt, re-encrypt or see aliases', async () => {
    const kms = await withWeb(allow('kms:GenerateDataKey'));
    expect(await generate(kms)).toBe('success');
    expect(await decrypt(kms)).toBe(DENIED);
    const web = client(kms, 'web');
    const encrypted = web.send(new EncryptCommand({ KeyId: 'alias/a', Plaintext: Buffer.from('x') }));
    expect(await exceptionOf(encrypted)).toBe(DENIED);
    expect(await exceptionOf(web.send(new ListAliasesCommand({})))).toBe(DENIED);
    expect(await exceptionOf(web.send(new CreateKeyCommand({})))).toBe(DENIED);
  });

  it('an exact action does not grant its longer neighbours, a wildcard does', async () => {
    const pair = (kms: KmsEmulator) =>
      exceptionOf(
        client(kms, 'web').send(
          new GenerateDataKeyPairWithoutPlaintextCommand({ KeyId: 'alias/a', KeyPairSpec: 'ECC_NIST_P256' }),
        ),
      );
    expect(await pair(await withWeb(allow('kms:GenerateDataKey')))).toBe(DENIED);
    expect(await pair(await withWeb(allow('kms:GenerateDataKey*')))).toBe('success');
    expect(await pair(await withWeb(allow('KMS:generatedatakeypairwithout?laintext')))).toBe('success');
  });

  it('an explicit deny wins over any allow', async () => {
    const kms = await withWeb(allow('kms:*'), deny('kms:Decrypt'));
    expect(await decrypt(kms)).toBe(DENIED);
    expect(await generate(kms)).toBe('success');
  });

  it('a resource names one key, or some by wildcard', async () => {
    const other = 'arn:aws:kms:eu-central-1:000000000000:key/00000000-0000-0000-0000-000000000000';
    expect(await generate(await withWeb(allow('kms:*', { Resource: other })))).toBe(DENIED);
    const all = 'arn:aws:kms:*:000000000000:key/*';
    expect(await generate(await withWeb(allow('kms:*', { Resource: [other, all] })))).toBe('success');
  });

  it('CreateAlias needs the alias and the key', async () => {
    const onKeys = allow('kms:CreateAlias', { Resource: 'arn:aws:kms:*:*:key/*' });
    const onAliases = allow('kms:CreateAlias', { Resource: 'arn:aws:kms:*:*:alias/web-*' });
    const create = async (kms: KmsEmulator, AliasName: string) => {
      const TargetKeyId = await arnOf(kms, 'alias/a');
      return exceptionOf(client(kms, 'web').send(new CreateAliasCommand({ AliasName, TargetKeyId })));
    };
    expect(await create(await withWeb(onKeys), 'alias/web-1')).toBe(DENIED);
    expect(await create(await withWeb(onAliases), 'alias/web-1')).toBe(DENIED);
    expect(await create(await withWeb(onKeys, onAliases), 'alias/web-1')).toBe('success');
    expect(await create(await withWeb(onKeys, onAliases), 'alias/other')).toBe(DENIED);
  });
});

describe('conditions', () => {
  const when = (Condition: object) => withWeb(allow('kms:GenerateDataKey', { Condition }));

  it('on one pair of the encryption context', async () => {
    const kms = await when({ StringEquals: { 'kms:EncryptionContext:delivery': 'envelope' } });
    expect(await generate(kms)).toBe('success');
    expect(await generate(kms, { ...CONTEXT, delivery: 'pool' })).toBe(DENIED);
    expect(await generate(kms, {})).toBe(DENIED);
  });

  it('on several pairs, all of which must hold', async () => {
    const kms = await when({
      StringEquals: {
        'kms:EncryptionContext:delivery': 'envelope',
        'kms:EncryptionContext:purpose': ['card-number', 'personal-data'],
      },
    });
    expect(await generate(kms)).toBe('success');
    expect(await generate(kms, { ...CONTEXT, purpose: 'personal-data' })).toBe('success');
    expect(await generate(kms, { ...CONTEXT, purpose: 'reports' })).toBe(DENIED);
  });

  it('on the names of the pairs', async () => {
    const kms = await when({
      'ForAllValues:StringEquals': {
        'kms:EncryptionContextKeys': ['application', 'purpose', 'delivery', 'kind'],
      },
      Null: { 'kms:EncryptionContextKeys': 'false' },
    });
    expect(await generate(kms)).toBe('success');
    expect(await generate(kms, { ...CONTEXT, extra: 'x' })).toBe(DENIED);
    expect(await generate(kms, {})).toBe(DENIED);
  });

  it('on the alias that was named', async () => {
    const kms = await when({ StringLike: { 'kms:RequestAlias': 'alias/a*' } });
    expect(await generate(kms)).toBe('success');
    const KeyId = await arnOf(kms, 'alias/a');
    const byArn = client(kms, 'web').send(new GenerateDataKeyCommand({ KeyId, NumberOfBytes: 32 }));
    expect(await exceptionOf(byArn)).toBe(DENIED);
  });

  it('on re-encryption under the same key', async () => {
    const kms = await withWeb(
      allow(['kms:ReEncryptFrom', 'kms:ReEncryptTo'], {
        Condition: { Bool: { 'kms:ReEncryptOnSameKey': true } },
      }),
    );
    const { CiphertextBlob } = await dataKey(kms, 'admin');
    const reEncrypt = (DestinationKeyId: string) =>
      exceptionOf(
        client(kms, 'web').send(
          new ReEncryptCommand({
            CiphertextBlob,
            SourceEncryptionContext: CONTEXT,
            DestinationKeyId,
            DestinationEncryptionContext: CONTEXT,
          }),
        ),
      );
    expect(await reEncrypt('alias/a')).toBe('success');
    expect(await reEncrypt('alias/b')).toBe(DENIED);
  });

  it('in a deny keep the deny from applying where they do not hold', async () => {
    const kms = await withWeb(
      allow('kms:*'),
      deny('kms:GenerateDataKey', {
        Condition: { StringNotEquals: { 'kms:EncryptionContext:kind': 'data' } },
      }),
    );
    expect(await generate(kms)).toBe('success');
    expect(await generate(kms, { ...CONTEXT, kind: 'index' })).toBe(DENIED);
    expect(await generate(kms, {})).toBe(DENIED);
  });
});

describe('key policies', () => {
  it('that name neither the principal nor the account shut out an identity policy with everything', async () => {
    const kms = await withWeb(allow('kms:*'));
    expect(await decrypt(kms)).toBe('success');
    expect(await setKeyPolicy(kms)).toBe('success');
    expect(await decrypt(kms)).toBe(DENIED);
  });

  it('that name the principal need no identity policy', async () => {
    const kms = await withWeb();
    await setKeyPolicy(kms, { ...allow('kms:Decrypt'), Principal: { AWS: userArn('web') } });
    expect(await decrypt(kms)).toBe('success');
    expect(await generate(kms)).toBe(DENIED);
  });

  it('that name the account leave the decision to identity policies', async () => {
    const root = { ...allow('kms:*'), Principal: { AWS: 'arn:aws:iam::000000000000:root' } };
    const kms = await withWeb(allow('kms:GenerateDataKey'));
    await setKeyPolicy(kms, root);
    expect(await generate(kms)).toBe('success');
    expect(await decrypt(kms)).toBe(DENIED);
  });

  it('deny over an identity policy, for one principal alone', async () => {
    const root = { ...allow('kms:*'), Principal: { AWS: '000000000000' } };
    const kms = await withWeb(allow('kms:*'));
    await setKeyPolicy(kms, root, { ...deny('kms:Decrypt'), Principal: { AWS: [userArn('web')] } });
    expect(await decrypt(kms)).toBe(DENIED);
    expect(await decrypt(kms, 'admin')).toBe('success');
  });

  it('deny to the account is a deny to everybody in it', async () => {
    const root = { AWS: 'arn:aws:iam::000000000000:root' };
    const kms = await withWeb(allow('kms:*'));
    await setKeyPolicy(
      kms,
      { ...allow('kms:*'), Principal: { AWS: userArn('web') } },
      { ...deny('kms:Decrypt'), Principal: root },
    );
    expect(await generate(kms)).toBe('success');
    expect(await decrypt(kms)).toBe(DENIED);
    expect(await decrypt(kms, 'admin')).toBe(DENIED);
  });

  it('that would lock their author out are refused, unless asked for', async () => {
    const kms = await withWeb();
    const Policy = JSON.stringify({ Statement: [{ ...allow('kms:*'), Principal: { AWS: userArn('web') } }] });
    const KeyId = await arnOf(kms, 'alias/a');
    const put = (BypassPolicyLockoutSafetyCheck: boolean) =>
      exceptionOf(
        client(kms, 'admin').send(new PutKeyPolicyCommand({ KeyId, Policy, BypassPolicyLockoutSafetyCheck })),
      );
    expect(await put(false)).toBe('MalformedPolicyDocumentException');
    expect(await put(true)).toBe('success');
    expect(await decrypt(kms, 'admin').catch((error: unknown) => (error as Error).name)).toBe(DENIED);
  });

  it('that are no policies are refused', async () => {
    const kms = await withWeb();
    const KeyId = await arnOf(kms, 'alias/a');
    for (const Policy of ['not json', '{}', JSON.stringify({ Statement: [allow('kms:*')] })]) {
      const put = client(kms, 'admin').send(new PutKeyPolicyCommand({ KeyId, Policy }));
      expect(await exceptionOf(put)).toBe('MalformedPolicyDocumentException');
    }
  });
});

describe('DryRun', () => {
  it('tells who may from who may not, and hands nothing out', async () => {
    const kms = await withWeb(allow('kms:GenerateDataKey'));
    expect(await decrypt(kms, 'web', true)).toBe(DENIED);
    expect(await decrypt(kms, 'admin', true)).toBe('DryRunOperationException');
  });

  it('makes the same checks as the call itself', async () => {
    const kms = await withWeb();
    const { CiphertextBlob } = await dataKey(kms, 'admin');
    const moved = new DecryptCommand({
      KeyId: 'alias/a',
      CiphertextBlob,
      EncryptionContext: { ...CONTEXT, purpose: 'other' },
      DryRun: true,
    });
    expect(await exceptionOf(client(kms, 'admin').send(moved))).toBe('InvalidCiphertextException');
  });
});
