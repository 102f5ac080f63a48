/** The audit log of the emulator: the fields of a CloudTrail event that matter here, never plaintext or ciphertext. */

export interface AuditEntry {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** As in the answer's `x-amzn-requestid` and in the SDK's `$metadata.requestId`. */
  readonly requestId: string;
  /** Operation, such as `Decrypt`. */
  readonly event: string;
  /** Name of the principal; null when the signature was refused. */
  readonly principal: string | null;
  /** Null when the operation has no key, or the key was not found. */
  readonly keyArn: string | null;
  readonly encryptionContext: Readonly<Record<string, string>> | null;
  /** ReEncrypt: the key and context of the new ciphertext; null for other operations. */
  readonly destination: {
    readonly keyArn: string;
    readonly encryptionContext: Readonly<Record<string, string>>;
  } | null;
  /** AWS's name of the exception, or `fault: …` where a fault took the answer away; null when the call succeeded. */
  readonly error: string | null;
}

/** Entries kept; the oldest go first. */
const MAX_ENTRIES = 100_000;

export class AuditLog {
  readonly #entries: AuditEntry[] = [];

  append(entry: AuditEntry): void {
    this.#entries.push(Object.freeze(entry));
    if (this.#entries.length > MAX_ENTRIES) this.#entries.splice(0, MAX_ENTRIES / 10);
  }

  entries(): readonly AuditEntry[] {
    return [...this.#entries];
  }
}
