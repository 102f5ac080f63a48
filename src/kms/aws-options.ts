/** Options of `awsKms`: types, defaults, validation. */
import {
  describeValue,
  flag,
  group,
  listOf,
  mapOf,
  optional,
  optionError,
  parseOptions,
  secret,
  text,
  wholeNumber,
  withDefault,
} from '../keys/options.js';
import { regionOfArn } from './arn.js';
import { arnsOf, macKeyRule, refuseSharedMacKeys, type MacKeys } from './mac-keys.js';

/** Options of {@link awsKms}. */
export interface AwsKmsOptions {
  /** AWS region of the KEKs that are named by alias or id, such as `'eu-central-1'`. KEKs named by ARN say theirs. */
  readonly region: string;
  /**
   * URL to send the calls to instead of the region's own (a VPC endpoint, the emulator); with KEKs in several
   * regions, one URL per region. Plain `http:` is accepted for loopback addresses alone.
   */
  readonly endpoint?: string | Readonly<Record<string, string>>;
  /** Default: what the SDK finds (role of the task or instance, environment, profile). */
  readonly credentials?: AwsCredentials | (() => Promise<AwsCredentials>);
  /** KEKs that wrap new keys, and unwrap, per purpose: aliases (`'alias/card-a'`), ids or ARNs. */
  readonly keks: Readonly<Record<string, readonly string[]>>;
  /** Retired KEKs, per purpose: they only unwrap. */
  readonly openKeks?: Readonly<Record<string, readonly string[]>>;
  /**
   * HMAC_256 keys that make the blind indexes of purposes with `index: 'kms'`, by purpose: the ARN of the key of version 1,
   * or an ARN for each version of the index: `{ 1: 'arn:…', 2: 'arn:…' }`. Another key makes other indexes of the same
   * values, so a version keeps its key for ever, and an alias, which can be pointed at another one, is refused. A key serves one purpose of one application and
   * environment.
   */
  readonly macKeys?: Readonly<Record<string, string | Readonly<Record<number, string>>>>;
  readonly timeouts?: {
    /** Milliseconds until the connection stands. Default 2,000, 1 to 60,000. */
    readonly connectMs?: number;
    /** Milliseconds until one answer is complete. Default 5,000, 1 to 60,000. */
    readonly requestMs?: number;
    /** Milliseconds until a call is given up, retries and pauses included. Default 15,000, 1 to 600,000. */
    readonly totalMs?: number;
  };
  /** How often one call is tried. Default 4, 1 to 10. */
  readonly attempts?: number;
  /**
   * How many keys are unwrapped at the same time; more wait. Default 8, 1 to 50, which is as many connections as the
   * SDK opens.
   */
  readonly parallelUnwraps?: number;
  /** Use the FIPS 140 endpoints of the regions; not together with `endpoint`. Default false. */
  readonly useFipsEndpoint?: boolean;
}

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}

/** Options of `awsKms` after validation. */
export type AwsKmsSettings = ReturnType<typeof parseAwsKmsOptions>;

const OPTIONS = {
  region: text("a region such as 'eu-central-1'", (value) => /^[a-z]{2}(-[a-z]+)+-\d+$/.test(value)),
  endpoint: optional(endpoints),
  credentials: secret(optional(credentials)),
  keks: mapOf(listOf(kekName(), 1)),
  openKeks: withDefault(mapOf(listOf(kekName())), new Map<string, readonly string[]>()),
  macKeys: withDefault(mapOf(macKeyRule), new Map<string, MacKeys>()),
  timeouts: group({
    connectMs: withDefault(wholeNumber(1, 60_000), 2_000),
    requestMs: withDefault(wholeNumber(1, 60_000), 5_000),
    totalMs: withDefault(wholeNumber(1, 600_000), 15_000),
  }),
  attempts: withDefault(wholeNumber(1, 10), 4),
  parallelUnwraps: withDefault(wholeNumber(1, 50), 8),
  useFipsEndpoint: withDefault(flag(), false),
};

/**
 * Checks the options of `awsKms`.
 * @throws ConfigError `ERR_CONFIG_OPTION`.
 */
export function parseAwsKmsOptions(options: AwsKmsOptions) {
  const settings = parseOptions(OPTIONS, options, 'awsKms');
  if (settings.useFipsEndpoint && settings.endpoint !== undefined) {
    throw optionError('awsKms.useFipsEndpoint', 'false where an endpoint is given', 'true');
  }
  const { keks, openKeks, macKeys, region, endpoint } = settings;
  const kekNames = [...keks.values(), ...openKeks.values()].flat();
  refuseKeksAsMacKeys(macKeys, kekNames);
  refuseSharedMacKeys(macKeys, 'awsKms.macKeys');
  refuseKeysWithoutEndpoint(region, endpoint, [...kekNames, ...[...macKeys.values()].flatMap(arnsOf)]);
  return settings;
}

function refuseKeksAsMacKeys(macKeys: ReadonlyMap<string, MacKeys>, kekNames: readonly string[]): void {
  for (const [purpose, keys] of macKeys) {
    if (!arnsOf(keys).some((arn) => kekNames.includes(arn))) continue;
    throw optionError(
      `awsKms.macKeys.${purpose}`,
      'an HMAC_256 key, which is no KEK',
      'one of keks or openKeks',
    );
  }
}

/** A key of a region that no endpoint is given for would be asked for at the wrong place. */
function refuseKeysWithoutEndpoint(
  region: string,
  endpoint: string | ReadonlyMap<string, string> | undefined,
  names: readonly string[],
): void {
  if (endpoint === undefined) return;
  const served = typeof endpoint === 'string' ? [region] : [...endpoint.keys()];
  for (const name of names) {
    const keyRegion = regionOfArn(name) ?? region;
    if (!served.includes(keyRegion)) {
      throw optionError('awsKms.endpoint', `a URL for each region of a key`, `none for ${keyRegion}`);
    }
  }
}

function endpoints(value: unknown, path: string): string | ReadonlyMap<string, string> {
  return typeof value === 'object' ? mapOf(endpoint)(value, path) : endpoint(value, path);
}

/** Data keys come back in the answer, in the clear: the connection must be TLS, or not leave the machine. */
function endpoint(value: unknown, path: string): string {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
  const local = url !== undefined && ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
  if (url?.protocol === 'https:' || (local && url.protocol === 'http:')) return value as string;
  throw optionError(path, 'an https: URL, or an http: URL of this machine', describeValue(value));
}

function credentials(value: unknown, path: string): AwsCredentials | (() => Promise<AwsCredentials>) {
  if (typeof value === 'function') return value as () => Promise<AwsCredentials>;
  const given = typeof value === 'object' && value !== null ? (value as Partial<AwsCredentials>) : {};
  if (isFilled(given.accessKeyId) && isFilled(given.secretAccessKey)) return given as AwsCredentials;
  throw optionError(
    path,
    'an object with accessKeyId and secretAccessKey, or a function that resolves to one',
    describeValue(value),
  );
}

function isFilled(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

/** At most 2,048 characters (KMS API, KeyId). The id of a key is a UUID, that of a multi-region key begins with mrk-. */
const KEK_NAME =
  /^(?:alias\/[\w/-]{1,250}|arn:[\w:/-]{1,2044}|mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

function kekName() {
  return text("an alias ('alias/…'), key id or ARN", (value) => KEK_NAME.test(value));
}
