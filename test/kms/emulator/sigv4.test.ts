import { request } from 'node:http';
import { DescribeKeyCommand, ListAliasesCommand } from '@aws-sdk/client-kms';
import { describe, expect, it } from 'vitest';
import type { KmsEmulator } from '../../../src/kms/emulator/emulator.js';
import { client, emulator, exceptionOf } from '../kms.js';

interface Captured {
  readonly headers: Record<string, string>;
  readonly body: Buffer;
}

interface Answer {
  readonly status: number;
  readonly body: { readonly __type?: string; readonly message?: string; readonly Aliases?: unknown };
}

/** A correctly signed request of the real SDK, caught on its way. */
async function signedRequest(kms: KmsEmulator): Promise<Captured> {
  let captured: Captured | undefined;
  const handler = {
    handle: (sent: { headers: Record<string, string>; body: string | Uint8Array }) => {
      captured = { headers: sent.headers, body: Buffer.from(sent.body as Uint8Array) };
      return Promise.reject(new Error('caught'));
    },
    updateHttpClientConfig: () => undefined,
    httpHandlerConfigs: () => ({}),
  };
  const sdk = client(kms, undefined, { requestHandler: handler });
  await sdk.send(new ListAliasesCommand({})).catch(() => undefined);
  if (captured === undefined) throw new Error('the SDK sent nothing');
  return captured;
}

function post(kms: KmsEmulator, { headers, body }: Captured, path = '/', method = 'POST'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(`${kms.endpoint}${path}`, { method, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as Answer['body'] });
      });
    });
    sent.on('error', reject).end(body);
  });
}

function without(headers: Record<string, string>, name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([key]) => key !== name));
}

type Tamper = (captured: Captured) => Captured;

const header =
  (name: string, value: (old: string) => string): Tamper =>
  ({ headers, body }) => ({ headers: { ...headers, [name]: value(headers[name] ?? '') }, body });

const TAMPERED: readonly (readonly [name: string, tamper: Tamper, exception: string])[] = [
  [
    'a body changed on the way',
    ({ headers }) => ({ headers, body: Buffer.from('[]') }),
    'InvalidSignatureException',
  ],
  ['another operation', header('x-amz-target', () => 'TrentService.CreateKey'), 'InvalidSignatureException'],
  ['an x-amz header that is not signed', header('x-amz-extra', () => 'x'), 'InvalidSignatureException'],
  [
    'another signature',
    header('authorization', (old) => old.replace(/.{64}$/, '0'.repeat(64))),
    'InvalidSignatureException',
  ],
  [
    'an unknown access key',
    header('authorization', (old) => old.replace('LOCALEMULATORKEY', 'SOMEBODYELSE0000')),
    'UnrecognizedClientException',
  ],
  [
    'another form of authorization',
    header('authorization', () => 'Basic YTpi'),
    'IncompleteSignatureException',
  ],
  [
    'no authorization',
    ({ headers, body }) => ({ headers: without(headers, 'authorization'), body }),
    'MissingAuthenticationTokenException',
  ],
  [
    'no date',
    ({ headers, body }) => ({ headers: without(headers, 'x-amz-date'), body }),
    'IncompleteSignatureException',
  ],
  [
    'a date of another day than the credential',
    header('x-amz-date', (old) => `1999${old.slice(4)}`),
    'IncompleteSignatureException',
  ],
];

describe('signatures', () => {
  it('of the real SDK pass, also when sent again as they were', async () => {
    const kms = await emulator();
    const { status, body } = await post(kms, await signedRequest(kms));
    expect(status).toBe(200);
    expect(body.Aliases).toEqual([]);
  });

  it.each(TAMPERED)('with %s are refused', async (_name, tamper, exception) => {
    const kms = await emulator();
    const { status, body } = await post(kms, tamper(await signedRequest(kms)));
    expect(status).toBe(400);
    expect(body.__type).toBe(exception);
    expect(kms.audit()).toMatchObject([{ principal: null, error: exception }]);
  });

  it('of a wrong secret raise InvalidSignatureException in the SDK', async () => {
    const kms = await emulator();
    const credentials = { ...kms.credentials(), secretAccessKey: 'some-other-secret-here' };
    const sdk = client(kms, undefined, { credentials });
    expect(await exceptionOf(sdk.send(new ListAliasesCommand({})))).toBe('InvalidSignatureException');
  });

  it.each([
    [301_000, 'InvalidSignatureException'],
    [-301_000, 'InvalidSignatureException'],
    [240_000, 'success'],
    [-240_000, 'success'],
  ])('signed %i ms away from the clock of the emulator: %s', async (offMs, outcome) => {
    const kms = await emulator({ now: () => Date.now() + offMs });
    expect(await exceptionOf(client(kms).send(new ListAliasesCommand({})))).toBe(outcome);
  });

  it('with a session token are refused: there are no sessions', async () => {
    const kms = await emulator();
    const sdk = client(kms, undefined, { credentials: { ...kms.credentials(), sessionToken: 'x' } });
    expect(await exceptionOf(sdk.send(new ListAliasesCommand({})))).toBe('UnrecognizedClientException');
  });
});

describe('what a signature must cover', () => {
  // A wrong signature alone gives the same exception; the message tells that the reason was seen.
  it.each([
    ['the host', ['host;', ''], 'Header host must be signed.'],
    ['the region', ['eu-central-1', 'us-east-1'], 'scoped to region eu-central-1 and service kms'],
    ['the service', ['/kms/', '/s3/'], 'scoped to region eu-central-1 and service kms'],
  ] as const)('%s', async (_name, [found, put], message) => {
    const kms = await emulator();
    const tampered = header('authorization', (old) => old.replace(found, put))(await signedRequest(kms));
    expect((await post(kms, tampered)).body.message).toContain(message);
  });
});

describe('the protocol', () => {
  it('answers POST / alone', async () => {
    const kms = await emulator();
    const signed = await signedRequest(kms);
    expect((await post(kms, signed, '/other')).body.__type).toBe('UnknownOperationException');
    expect((await post(kms, signed, '/?a=b')).body.__type).toBe('UnknownOperationException');
  });

  it('refuses requests that are too large', async () => {
    const kms = await emulator();
    const { headers } = await signedRequest(kms);
    const body = Buffer.alloc(300_000, ' ');
    const answer = await post(kms, { headers: { ...headers, 'content-length': String(body.length) }, body });
    expect(answer.body.__type).toBe('ValidationException');
  });

  it('gives the SDK the request id that the audit log has', async () => {
    const kms = await emulator({ createKeys: ['alias/a'] });
    const sdk = client(kms);
    const { $metadata } = await sdk.send(new DescribeKeyCommand({ KeyId: 'alias/a' }));
    expect(kms.audit()[0]?.requestId).toBe($metadata.requestId);
  });
});
