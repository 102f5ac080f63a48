/** The exceptions that the emulator answers with, by AWS's names. */

/** HTTP status by exception name (AWS KMS API Reference). Names that are not here are 400. */
const STATUS: ReadonlyMap<string, number> = new Map([
  ['KMSInternalException', 500],
  ['DependencyTimeoutException', 503],
  ['KeyUnavailableException', 500],
]);

/** An answer with an AWS exception. The SDK raises the class of the same name. */
export class AwsException extends Error {
  readonly status: number;

  constructor(name: string, message: string) {
    super(message);
    this.name = name;
    this.status = STATUS.get(name) ?? 400;
  }
}
