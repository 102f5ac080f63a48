/** Verifies AWS Signature Version 4 (AWS IAM User Guide, "Create a signed AWS API request"). */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { AwsException } from './exceptions.js';
import type { EmulatorPrincipal } from './policy-file.js';

const ALGORITHM = 'AWS4-HMAC-SHA256';
const SERVICE = 'kms';

/** How far the signer's clock may be off, ms. */
const MAX_SKEW_MS = 5 * 60_000;

const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=([A-Za-z0-9]+)\/(\d{8})\/([a-z0-9-]+)\/([a-z0-9-]+)\/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$/;

/** A `POST /` without query, which is all that this protocol has. */
export interface SignedRequest {
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

interface Authorization {
  readonly accessKeyId: string;
  /** YYYYMMDD */
  readonly day: string;
  readonly region: string;
  readonly service: string;
  readonly signedHeaders: readonly string[];
  readonly signature: Buffer;
}

/**
 * The principal who signed the request.
 * @throws AwsException with AWS's names.
 */
export function authenticate(
  request: SignedRequest,
  principals: readonly EmulatorPrincipal[],
  region: string,
  nowMs: number,
): EmulatorPrincipal {
  const given = parseAuthorization(request.headers.authorization);
  const timestamp = checkTimestamp(request.headers['x-amz-date'], given.day, nowMs);
  checkScope(given, region);
  checkSignedHeaders(given.signedHeaders, request.headers);
  const principal = principals.find((one) => one.accessKeyId === given.accessKeyId);
  if (principal === undefined || request.headers['x-amz-security-token'] !== undefined) {
    throw new AwsException(
      'UnrecognizedClientException',
      'The security token included in the request is invalid.',
    );
  }
  const expected = signature(request, given, timestamp, principal.secretAccessKey);
  if (!timingSafeEqual(expected, given.signature)) {
    throw new AwsException(
      'InvalidSignatureException',
      'The request signature we calculated does not match the signature you provided.',
    );
  }
  return principal;
}

function parseAuthorization(header: string | undefined): Authorization {
  if (header === undefined) {
    throw new AwsException('MissingAuthenticationTokenException', 'Missing Authentication Token');
  }
  const [, accessKeyId, day, region, service, headers, hex] = AUTHORIZATION.exec(header) ?? [];
  if (!accessKeyId || !day || !region || !service || !headers || !hex) {
    throw new AwsException(
      'IncompleteSignatureException',
      `Authorization header requires the form of ${ALGORITHM}.`,
    );
  }
  const signedHeaders = headers.split(';');
  return { accessKeyId, day, region, service, signedHeaders, signature: Buffer.from(hex, 'hex') };
}

/** The timestamp as it was signed. */
function checkTimestamp(header: string | string[] | undefined, day: string, nowMs: number): string {
  const text = typeof header === 'string' ? header : '';
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (match === null || !text.startsWith(day)) {
    throw new AwsException(
      'IncompleteSignatureException',
      'X-Amz-Date is missing or does not fit the credential.',
    );
  }
  const [year = 0, month = 0, date = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  const signedAt = Date.UTC(year, month - 1, date, hour, minute, second);
  if (Math.abs(nowMs - signedAt) > MAX_SKEW_MS) {
    const word = signedAt < nowMs ? 'expired' : 'not yet current';
    throw new AwsException(
      'InvalidSignatureException',
      `Signature ${word}: ${text} is more than 5 min. off.`,
    );
  }
  return text;
}

function checkScope(given: Authorization, region: string): void {
  if (given.region !== region || given.service !== SERVICE) {
    throw new AwsException(
      'InvalidSignatureException',
      `Credential should be scoped to region ${region} and service ${SERVICE}.`,
    );
  }
}

/** What is not signed can be changed on the way: host and every x-amz header, the target above all, must be signed. */
function checkSignedHeaders(signed: readonly string[], headers: IncomingHttpHeaders): void {
  const needed = ['host', ...Object.keys(headers).filter((name) => name.startsWith('x-amz-'))];
  const missing = needed.find((name) => !signed.includes(name));
  if (missing !== undefined) {
    throw new AwsException('InvalidSignatureException', `Header ${missing} must be signed.`);
  }
}

function signature(request: SignedRequest, given: Authorization, timestamp: string, secret: string): Buffer {
  const scope = `${given.day}/${given.region}/${given.service}/aws4_request`;
  const canonical = sha256Hex(canonicalRequest(request, given.signedHeaders));
  const toSign = [ALGORITHM, timestamp, scope, canonical].join('\n');
  const key = [given.day, given.region, given.service, 'aws4_request'].reduce<string | Buffer>(
    (parent, part) => hmac(parent, part),
    `AWS4${secret}`,
  );
  return hmac(key, toSign);
}

function canonicalRequest(request: SignedRequest, signedHeaders: readonly string[]): string {
  const lines = signedHeaders.map((name) => {
    const value = request.headers[name];
    return `${name}:${[value ?? ''].flat().join(',').trim().replace(/ +/g, ' ')}`;
  });
  return ['POST', '/', '', ...lines, '', signedHeaders.join(';'), sha256Hex(request.body)].join('\n');
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function sha256Hex(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}
