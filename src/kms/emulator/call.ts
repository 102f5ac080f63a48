/** One authenticated call: what an operation sees of it, and the checks that operations share. */
import type { z } from 'zod';
import { aliasArn, keyArn, principalArn } from './arns.js';
import { mayDo, mayUseKey } from './authorization.js';
import type { EncryptionContext } from './ciphertext.js';
import { contextConditions } from './conditions.js';
import { AwsException } from './exceptions.js';
import { checkState } from './key.js';
import type { KeyUsage, StateNeed, StoredKey } from './key.js';
import type { KeyTable } from './key-table.js';
import { check } from './issues.js';
import type { EmulatorPrincipal, PolicyDocument } from './policy-file.js';

/** What the emulator lends to operations. */
export interface Surroundings {
  readonly keys: KeyTable;
  now(): number;
  /** Is told every plaintext key that leaves. */
  onPlaintext(bytes: Buffer): void;
}

/** An operation: takes a call, gives the members of the answer. */
export type Operation = (call: Call) => Readonly<Record<string, unknown>>;

/** How an operation wants to use a key. */
export interface KeyUse {
  /** Default: the operation's own name. */
  readonly action?: string;
  readonly usage?: KeyUsage;
  readonly state: StateNeed;
  readonly context?: EncryptionContext;
  /** Further condition keys, in lower case. */
  readonly conditions?: readonly (readonly [key: string, values: readonly string[]])[];
}

/** A key that a call used, for the audit log. */
export interface UsedKey {
  readonly keyArn: string;
  readonly encryptionContext: EncryptionContext | null;
}

export class Call {
  readonly operation: string;
  readonly principal: EmulatorPrincipal;
  readonly keys: KeyTable;
  readonly usedKeys: UsedKey[] = [];
  readonly #body: unknown;
  readonly #surroundings: Surroundings;

  constructor(operation: string, principal: EmulatorPrincipal, body: unknown, surroundings: Surroundings) {
    this.operation = operation;
    this.principal = principal;
    this.keys = surroundings.keys;
    this.#body = body;
    this.#surroundings = surroundings;
  }

  get now(): number {
    return this.#surroundings.now();
  }

  /** The members of the request. @throws AwsException `ValidationException`. */
  parse<T>(schema: z.ZodType<T>): T {
    const checked = check(schema, this.#body);
    if (checked.isValid) return checked.value;
    throw new AwsException('ValidationException', checked.why);
  }

  /**
   * The named key, if it is there, the principal may use it, and its usage and state fit, in this order.
   * @throws AwsException `NotFoundException`, `AccessDeniedException`, `InvalidKeyUsageException`,
   * `DisabledException`, `KMSInvalidStateException`.
   */
  useKey(name: string, use: KeyUse): StoredKey {
    const key = this.keys.get(name);
    const arn = this.arnOf(key);
    this.usedKeys.push({ keyArn: arn, encryptionContext: use.context ?? null });
    const action = use.action ?? this.operation;
    if (!mayUseKey(this.#request(action, arn, name, use), key.policy)) throw this.#denied(action, arn);
    if (use.usage !== undefined && key.usage !== use.usage) {
      const text = `${arn} key usage is ${key.usage} which is not valid for ${this.operation}.`;
      throw new AwsException('InvalidKeyUsageException', text);
    }
    checkState(key, use.state, this.keys.region);
    return key;
  }

  /** For actions on no key. @throws AwsException `AccessDeniedException`. */
  authorize(resource: string): void {
    if (!mayDo(this.#request(this.operation, resource, '', { state: 'any' }))) {
      throw this.#denied(this.operation, resource);
    }
  }

  /** Whether this principal could do `action` on the key if it had this policy. */
  wouldAllow(key: StoredKey, policy: PolicyDocument, action: string): boolean {
    return mayUseKey(this.#request(action, this.arnOf(key), '', { state: 'any' }), policy);
  }

  /** Ends a dry run, after every check has passed. @throws AwsException `DryRunOperationException`. */
  stopDryRun(dryRun: boolean | undefined): void {
    if (dryRun === true) {
      throw new AwsException(
        'DryRunOperationException',
        'The request would have succeeded, but the DryRun option is set.',
      );
    }
  }

  /** A plaintext key for the answer. */
  handOut(plaintext: Buffer): string {
    this.#surroundings.onPlaintext(plaintext);
    return plaintext.toString('base64');
  }

  arnOf(key: StoredKey): string {
    return keyArn(this.keys.region, key.keyId);
  }

  #request(action: string, resource: string, name: string, use: KeyUse) {
    const { region } = this.keys;
    const alias = name.startsWith(aliasArn(region, 'alias/'))
      ? name.slice(aliasArn(region, '').length)
      : name;
    const conditions = new Map<string, readonly string[]>([
      ['aws:principalarn', [principalArn(this.principal.name)]],
      ...contextConditions(use.context ?? {}),
      ...(use.conditions ?? []),
    ]);
    if (alias.startsWith('alias/')) conditions.set('kms:requestalias', [alias]);
    return { principal: this.principal, action: `kms:${action}`, resource, conditions };
  }

  #denied(action: string, resource: string): AwsException {
    return new AwsException(
      'AccessDeniedException',
      `User: ${principalArn(this.principal.name)} is not authorized to perform: kms:${action} on resource: ${resource}`,
    );
  }
}
