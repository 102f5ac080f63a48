/** Keys of the emulator: what each key spec is for, how its material is made, in which states it may be used. */
import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { ACCOUNT_ROOT, keyArn } from './arns.js';
import { AwsException } from './exceptions.js';
import type { PolicyDocument } from './policy-file.js';

/** One generation of a key's secret. Rotation adds one; old ones go on opening old ciphertext. */
export interface KeyMaterial {
  /** 64 hex digits, as AWS has them. */
  readonly id: string;
  readonly bytes: Buffer;
  readonly created: number;
}

export interface StoredKey {
  readonly keyId: string;
  readonly spec: KeySpec;
  readonly usage: KeyUsage;
  readonly description: string;
  readonly state: KeyState;
  readonly created: number;
  readonly deletionDate: number | null;
  readonly policy: PolicyDocument;
  readonly tags: Readonly<Record<string, string>>;
  /** Oldest first; the last one is current. */
  readonly materials: readonly KeyMaterial[];
  readonly rotation: { readonly periodDays: number; readonly next: number } | null;
  readonly onDemandRotations: number;
}

export const KEY_STATES = ['Enabled', 'Disabled', 'PendingDeletion'] as const;
export type KeyState = (typeof KEY_STATES)[number];

export const KEY_USAGES = ['ENCRYPT_DECRYPT', 'GENERATE_VERIFY_MAC', 'SIGN_VERIFY'] as const;
export type KeyUsage = (typeof KEY_USAGES)[number];

export const KEY_SPECS = ['SYMMETRIC_DEFAULT', 'HMAC_256', 'HMAC_384', 'HMAC_512', 'ECC_NIST_P256'] as const;
export type KeySpec = (typeof KEY_SPECS)[number];

interface SpecEntry {
  readonly usage: KeyUsage;
  /** Algorithms as DescribeKey lists them. */
  readonly algorithms: Readonly<Record<string, readonly string[]>>;
  readonly make: () => Buffer;
}

const hmacSpec = (bits: number): SpecEntry => ({
  usage: 'GENERATE_VERIFY_MAC',
  algorithms: { MacAlgorithms: [`HMAC_SHA_${bits}`] },
  make: () => randomBytes(bits / 8),
});

export const SPECS: Readonly<Record<KeySpec, SpecEntry>> = {
  SYMMETRIC_DEFAULT: {
    usage: 'ENCRYPT_DECRYPT',
    algorithms: { EncryptionAlgorithms: ['SYMMETRIC_DEFAULT'] },
    make: () => randomBytes(32),
  },
  HMAC_256: hmacSpec(256),
  HMAC_384: hmacSpec(384),
  HMAC_512: hmacSpec(512),
  ECC_NIST_P256: {
    usage: 'SIGN_VERIFY',
    algorithms: { SigningAlgorithms: ['ECDSA_SHA_256'] },
    make: () =>
      generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'der', type: 'pkcs8' }),
  },
};

/** Which states an operation accepts. Management that must work on a broken key takes `any`. */
export type StateNeed = 'enabled' | 'not-pending' | 'pending' | 'any';

/** AWS's exception by state and need; no entry where the operation may go on (Developer Guide, "Key states"). */
const REFUSALS: Readonly<Record<StateNeed, Partial<Record<KeyState, string>>>> = {
  enabled: { Disabled: 'DisabledException', PendingDeletion: 'KMSInvalidStateException' },
  'not-pending': { PendingDeletion: 'KMSInvalidStateException' },
  pending: { Enabled: 'KMSInvalidStateException', Disabled: 'KMSInvalidStateException' },
  any: {},
};

/** @throws AwsException `DisabledException`, `KMSInvalidStateException`. */
export function checkState(key: StoredKey, need: StateNeed, region: string): void {
  const exception = REFUSALS[need][key.state];
  if (exception !== undefined) {
    const state = key.state === 'PendingDeletion' ? 'pending deletion' : key.state.toLowerCase();
    throw new AwsException(exception, `${keyArn(region, key.keyId)} is ${state}.`);
  }
}

/** A new enabled key. Without a policy it gets AWS's default: the account decides by identity policies. */
export function newKey(
  spec: KeySpec,
  now: number,
  options: { readonly description?: string; readonly policy?: PolicyDocument | undefined } = {},
): StoredKey {
  return {
    keyId: randomUUID(),
    spec,
    usage: SPECS[spec].usage,
    description: options.description ?? '',
    state: 'Enabled',
    created: now,
    deletionDate: null,
    policy: options.policy ?? DEFAULT_KEY_POLICY,
    tags: {},
    materials: [newMaterial(spec, now)],
    rotation: null,
    onDemandRotations: 0,
  };
}

/** The key with one more material, which is now current. */
export function withNewMaterial(key: StoredKey, now: number): StoredKey {
  return { ...key, materials: [...key.materials, newMaterial(key.spec, now)] };
}

export function currentMaterial(key: StoredKey): KeyMaterial {
  const material = key.materials.at(-1);
  if (material === undefined) throw new AwsException('KMSInternalException', 'The key has no material.');
  return material;
}

const DEFAULT_KEY_POLICY: PolicyDocument = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Principal: { AWS: ACCOUNT_ROOT }, Action: 'kms:*', Resource: '*' }],
};

function newMaterial(spec: KeySpec, now: number): KeyMaterial {
  return { id: randomBytes(32).toString('hex'), bytes: SPECS[spec].make(), created: now };
}
