import { describe, expect, it } from 'vitest';
import { awsKms } from '../../src/kms/aws.js';
import type { AwsKmsOptions } from '../../src/kms/aws.js';

const KEY_ARN = 'arn:aws:kms:eu-central-1:111111111111:key/12345678-1234-1234-1234-123456789012';

const VALID: AwsKmsOptions = { region: 'eu-central-1', keks: { 'card-number': ['alias/card-a'] } };

const REFUSED: readonly (readonly [name: string, change: object, message: RegExp])[] = [
  ['an unknown option', { regoin: 'x' }, /awsKms\.regoin.*did you mean 'region'/],
  ['a region of another form', { region: 'Frankfurt' }, /awsKms\.region: expected a region/],
  ['no KEK for a purpose', { keks: { 'card-number': [] } }, /awsKms\.keks\.card-number/],
  ['a KEK with a space', { keks: { 'card-number': ['alias/a b'] } }, /awsKms\.keks\.card-number\[0\]/],
  ['a timeout of 0', { timeouts: { requestMs: 0 } }, /awsKms\.timeouts\.requestMs.*got 0/],
  ['11 attempts', { attempts: 11 }, /awsKms\.attempts.*from 1 to 10, got 11/],
  [
    'plain http over the network',
    { endpoint: 'http://kms.example.com' },
    /awsKms\.endpoint: expected an https/,
  ],
  ['an endpoint that is no URL', { endpoint: 'here' }, /awsKms\.endpoint: expected an https/],
  [
    'a KEK in a region without endpoint',
    {
      endpoint: 'https://vpce.example.com',
      keks: { 'card-number': ['arn:aws:kms:eu-west-1:111111111111:key/abc'] },
    },
    /a URL for each region of a key, got none for eu-west-1/,
  ],
  [
    'FIPS with an endpoint',
    { useFipsEndpoint: true, endpoint: 'https://vpce.example.com' },
    /awsKms\.useFipsEndpoint/,
  ],
  [
    'a MAC key by its alias',
    { macKeys: { 'card-number': 'alias/mac' } },
    /awsKms\.macKeys\.card-number.*ARN of a key/,
  ],
  [
    'a version that is none',
    { macKeys: { 'card-number': { v1: KEY_ARN } } },
    /awsKms\.macKeys\.card-number\.v1: expected a version of the index/,
  ],
  [
    'one MAC key for two purposes',
    { macKeys: { 'card-number': KEY_ARN, 'personal-data': { 2: KEY_ARN } } },
    /awsKms\.macKeys\.personal-data: expected a key of its own, got that of the purpose card-number/,
  ],
  [
    'a MAC key in a list',
    { macKeys: { 'card-number': ['arn:x'] } },
    /awsKms\.macKeys\.card-number: .*\{ 1: 'arn:/,
  ],
  [
    'a KEK as MAC key',
    { keks: { 'card-number': [KEY_ARN] }, macKeys: { 'card-number': KEY_ARN } },
    /awsKms\.macKeys\.card-number: expected an HMAC_256 key, which is no KEK/,
  ],
  [
    'an alias without its prefix',
    { keks: { 'card-number': ['card-a'] } },
    /awsKms\.keks\.card-number\[0\]: expected an alias/,
  ],
  [
    'a MAC key of one version by its alias',
    { macKeys: { 'card-number': { 2: 'alias/mac' } } },
    /awsKms\.macKeys\.card-number\.2/,
  ],
  [
    'a MAC key in a region without endpoint',
    {
      endpoint: 'https://vpce.example.com',
      macKeys: {
        'card-number': 'arn:aws:kms:eu-west-1:111111111111:key/12345678-1234-1234-1234-123456789012',
      },
    },
    /a URL for each region of a key, got none for eu-west-1/,
  ],
  ['half of the credentials', { credentials: { accessKeyId: 'AKIA' } }, /awsKms\.credentials/],
];

describe('awsKms options', () => {
  it('accepts region and keks alone', () => {
    expect(() => awsKms(VALID)).not.toThrow();
  });

  it('accepts a VPC endpoint, an endpoint of this machine, and one per region', () => {
    for (const endpoint of ['https://vpce.example.com', 'http://127.0.0.1:4599', 'http://localhost:1']) {
      expect(() => awsKms({ ...VALID, endpoint })).not.toThrow();
      expect(() => awsKms({ ...VALID, endpoint: { 'eu-central-1': endpoint } })).not.toThrow();
    }
  });

  it.each(REFUSED)('refuse %s', (_name, change, message) => {
    expect(() => awsKms({ ...VALID, ...change })).toThrow(
      expect.objectContaining({
        code: 'ERR_CONFIG_OPTION',
        message: expect.stringMatching(message) as string,
      }),
    );
  });

  it('never repeat a secret', () => {
    const credentials = { accessKeyId: '', secretAccessKey: 'the-secret-itself' };
    let message = '';
    try {
      awsKms({ ...VALID, credentials });
    } catch (error) {
      message = String(error);
    }
    expect(message).toContain('awsKms.credentials');
    expect(message).not.toContain('the-secret');
  });
});
