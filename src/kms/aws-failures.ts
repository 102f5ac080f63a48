/** What each failure of an AWS KMS call means: the code to throw, whether to try again, where to go on, whether to raise an alarm. */
import { KmsError } from '../errors.js';

type KmsCode = ConstructorParameters<typeof KmsError>[0];

export interface Failure {
  readonly code: KmsCode;
  /** The same call may succeed a moment later. */
  readonly retry: boolean;
  /** Another wrap of the same key, under another KEK, may open although this one does not. */
  readonly nextWrap: boolean;
  /** Somebody should look: a missing privilege, or a wrap that was changed. */
  readonly alarm: boolean;
  readonly advice: string;
}

const THROTTLED: Failure = {
  code: 'ERR_KMS_THROTTLED',
  retry: true,
  nextWrap: false,
  alarm: false,
  advice: 'the request quota of the account is used up; ask for fewer keys at a time or for a higher quota',
};
const UNAVAILABLE: Failure = {
  code: 'ERR_KMS_UNAVAILABLE',
  retry: true,
  nextWrap: true,
  alarm: false,
  advice: 'look at the network path to the endpoint and at the health of the service',
};
const TIMEOUT: Failure = {
  ...UNAVAILABLE,
  code: 'ERR_KMS_TIMEOUT',
  advice: 'no complete answer in time; look at the network path, or raise awsKms.timeouts',
};
const UNUSABLE: Failure = {
  code: 'ERR_KMS_KEK_UNUSABLE',
  retry: false,
  nextWrap: true,
  alarm: false,
  advice:
    'the KEK is disabled, pending deletion, missing or of the wrong kind; enable it, or move it to openKeks',
};
const NOT_FOUND: Failure = {
  ...UNUSABLE,
  advice:
    "there is no such key in this account and region; check its name in awsKms (an alias begins with 'alias/'), or move it to openKeks",
};
const INVALID: Failure = {
  ...UNUSABLE,
  advice: 'check the form of the KEK name; application, environment and purpose may be too long for AWS',
};
const DENIED: Failure = {
  code: 'ERR_KMS_DENIED',
  retry: false,
  nextWrap: false,
  alarm: true,
  advice: 'check the credentials, the key policy and the IAM policy of this process',
};
/** The wrap does not open. */
export const WRAP_REFUSED: Failure = {
  code: 'ERR_KMS_WRAP_REFUSED',
  retry: false,
  nextWrap: true,
  alarm: true,
  advice: 'the wrap was changed, or belongs to another purpose, kind or delivery',
};

/** The answer is not what the KMS API promises. */
export const BAD_ANSWER: Failure = {
  code: 'ERR_KMS_RESPONSE',
  retry: false,
  nextWrap: false,
  alarm: true,
  advice: 'what answers there may not be AWS KMS; check awsKms.endpoint and proxies on the way',
};

/** `close()` ended the call. */
export const CLOSED: Failure = {
  ...UNAVAILABLE,
  retry: false,
  nextWrap: false,
  advice: 'the KEK provider was closed',
};

/** By name of the AWS exception (AWS KMS API Reference, Common Errors and the errors of each action) or of the Node error. */
const FAILURES: ReadonlyMap<string, Failure> = new Map([
  ['ThrottlingException', THROTTLED],
  ['KMSInternalException', UNAVAILABLE],
  ['DependencyTimeoutException', UNAVAILABLE],
  ['KeyUnavailableException', UNAVAILABLE],
  ['InternalFailure', UNAVAILABLE],
  ['ServiceUnavailable', UNAVAILABLE],
  ['DisabledException', UNUSABLE],
  ['NotFoundException', NOT_FOUND],
  ['KMSInvalidStateException', UNUSABLE],
  ['InvalidKeyUsageException', UNUSABLE],
  ['InvalidArnException', INVALID],
  ['ValidationException', INVALID],
  ['InvalidCiphertextException', WRAP_REFUSED],
  ['IncorrectKeyException', { ...WRAP_REFUSED, nextWrap: false }],
  ['AccessDeniedException', DENIED],
  ['UnrecognizedClientException', DENIED],
  ['InvalidClientTokenId', DENIED],
  ['InvalidSignatureException', DENIED],
  ['IncompleteSignatureException', DENIED],
  ['IncompleteSignature', DENIED],
  ['MissingAuthenticationTokenException', DENIED],
  ['MissingAuthenticationToken', DENIED],
  ['ExpiredTokenException', DENIED],
  ['RequestExpired', DENIED],
  ['NotAuthorized', DENIED],
  ['OptInRequired', DENIED],
  // The instance's metadata service may be slow to start; the SDK gives no finer name.
  ['CredentialsProviderError', { ...DENIED, retry: true, alarm: false }],
  ['TimeoutError', TIMEOUT],
  ['AbortError', TIMEOUT],
  ['ETIMEDOUT', TIMEOUT],
  ['ECONNREFUSED', UNAVAILABLE],
  ['ECONNRESET', UNAVAILABLE],
  ['EPIPE', UNAVAILABLE],
  ['ENOTFOUND', UNAVAILABLE],
  ['EAI_AGAIN', UNAVAILABLE],
  ['EHOSTUNREACH', UNAVAILABLE],
  ['ENETUNREACH', UNAVAILABLE],
]);

/** The parts of an SDK or Node error that are read here. */
interface ErrorShape {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly $metadata?: {
    readonly httpStatusCode?: unknown;
    readonly requestId?: unknown;
    readonly clockSkewCorrected?: unknown;
  };
  readonly $response?: { readonly statusCode?: unknown };
}

/** What the error of one call means. */
export function failureOf(error: unknown): Failure {
  const shape = shapeOf(error);
  // The code first: the SDK renames ECONNRESET and the like to TimeoutError.
  const known = FAILURES.get(String(shape.code)) ?? FAILURES.get(String(shape.name));
  // The SDK learns the server's time from a refused signature; the same call signed anew then passes.
  if (known === DENIED && shape.$metadata?.clockSkewCorrected === true) return { ...DENIED, retry: true };
  if (known !== undefined) return known;
  const status = statusOf(shape) ?? 0;
  if (status === 429) return THROTTLED;
  return status >= 500 ? UNAVAILABLE : BAD_ANSWER;
}

/** Less is what answers in flight differ by; AWS refuses signatures that are five minutes off. */
const LEAST_CORRECTION_MS = 60_000;

/**
 * Notes in the error that the SDK's clock was corrected by `byMs` while its call was under way. Older SDKs, 3.709 among them, note
 * it in the first of several such errors alone, so that the other calls would not be made again.
 */
export function tellClockCorrection(error: unknown, byMs: number): void {
  const { $metadata } = shapeOf(error);
  if ($metadata !== undefined && Math.abs(byMs) >= LEAST_CORRECTION_MS)
    Object.assign($metadata, { clockSkewCorrected: true });
}

/** The error to throw. `where` names operation, KEK and purpose; `detail` says what was expected and got. */
export function kmsError(failure: Failure, where: string, detail: string, error?: unknown): KmsError {
  const cause = error === undefined ? undefined : { cause: cleanCause(error) };
  return new KmsError(failure.code, `AWS KMS ${where}: ${detail}; ${failure.advice}.`, cause);
}

/** How the error of a call is told: by its name, HTTP status and request id. */
export function describeError(error: unknown): string {
  const shape = shapeOf(error);
  const status = statusOf(shape);
  const id = shape.$metadata?.requestId;
  return [
    nameOf(error),
    ...(status === undefined ? [] : [`HTTP ${status}`]),
    ...(isWord(id) ? [`request ${id}`] : []),
  ].join(', ');
}

/** AWS's name of the exception, or Node's of the fault. */
export function nameOf(error: unknown): string {
  const shape = shapeOf(error);
  const named = FAILURES.has(String(shape.code)) ? shape.code : shape.name;
  return isWord(named) ? named : 'an unknown error';
}

/**
 * A cause that carries no key. The SDK's own error does where an answer cannot be parsed: its message quotes the text
 * around the fault, which may be a key, and `$response` holds the whole answer.
 */
function cleanCause(error: unknown): Error {
  const cause = new Error(describeError(error));
  cause.name = 'AwsKmsFailure';
  return cause;
}

function shapeOf(error: unknown): ErrorShape {
  return typeof error === 'object' && error !== null ? error : {};
}

function statusOf(shape: ErrorShape): number | undefined {
  const status = shape.$metadata?.httpStatusCode ?? shape.$response?.statusCode;
  return typeof status === 'number' ? status : undefined;
}

/** Names and request ids come from outside; only short words of plain characters are repeated. */
function isWord(value: unknown): value is string {
  return typeof value === 'string' && /^[\w.:-]{1,80}$/.test(value);
}
