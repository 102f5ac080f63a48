/** Faults that the emulator plays on demand, per operation and limited in number. */
import type { ServerResponse } from 'node:http';
import { oneOf } from '../../keys/options.js';
import { OPERATIONS } from './operations/table.js';

/** What goes wrong. */
export type Fault = ExceptionFault | AnswerFault | TransportFault | 'slow';

/** AWS says no. */
export type ExceptionFault = keyof typeof EXCEPTIONS;
/** The call is carried out and its answer spoilt. */
export type AnswerFault = keyof typeof SPOILERS;
/** Something between the two ends breaks; the call is not carried out. */
export type TransportFault = keyof typeof BREAKS;

export interface FaultOptions {
  /** How many calls are hit. Default: all until `clear`. */
  readonly times?: number;
  /** For `slow`: milliseconds before the right answer. Default 1,000. */
  readonly delayMs?: number;
  /** Hit only calls that name this key, by ARN, in `KeyId`. Default: any. */
  readonly keyArn?: string;
}

export interface FaultInjector {
  /**
   * Plays `fault` on the next calls of `operation` (`'*'`: of all). Earlier faults are used up first.
   * @throws ConfigError `ERR_CONFIG_OPTION` for an operation or a fault that there is none of.
   */
  inject(operation: string, fault: Fault, options?: FaultOptions): void;
  /** Forgets all faults. */
  clear(): void;
}

const EXCEPTIONS = {
  throttle: 'ThrottlingException',
  internal: 'KMSInternalException',
  'dependency-timeout': 'DependencyTimeoutException',
  'key-unavailable': 'KeyUnavailableException',
  denied: 'AccessDeniedException',
  'invalid-ciphertext': 'InvalidCiphertextException',
  'incorrect-key': 'IncorrectKeyException',
  'invalid-state': 'KMSInvalidStateException',
} as const;

const SPOILERS = {
  /** No JSON any more, broken right behind the last member: where there is a key, parsers quote a piece of it. */
  garbage: (answer: Readonly<Record<string, unknown>>) => {
    const { Plaintext: last = 'x', ...others } = answer;
    return `${JSON.stringify({ ...others, Plaintext: last }).slice(0, -1)}!`;
  },
  html: () => '<html><body>Welcome to the Wi-Fi of this hotel</body></html>',
  empty: () => '{}',
  'short-plaintext': (answer: Readonly<Record<string, unknown>>) =>
    JSON.stringify({ ...answer, Plaintext: Buffer.alloc(16).toString('base64') }),
  'no-ciphertext': (answer: Readonly<Record<string, unknown>>) =>
    JSON.stringify({ ...answer, CiphertextBlob: '', PrivateKeyCiphertextBlob: '' }),
  'wrong-key': (answer: Readonly<Record<string, unknown>>) =>
    JSON.stringify({ ...answer, KeyId: `${String(answer.KeyId)}0` }),
};

const BREAKS = {
  /** No answer, ever. */
  hang: () => undefined,
  /** The head of an answer and half a body, then silence. */
  stall: (response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' });
    response.write('{"KeyId":');
  },
  /** Spaces for ever: always alive, never an answer. */
  drip: (response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' });
    const timer = setInterval(() => response.write(' '), 20);
    response.on('close', () => {
      clearInterval(timer);
    });
  },
  close: (response: ServerResponse) => {
    response.destroy();
  },
  'proxy-error': (response: ServerResponse) => {
    response.writeHead(502, { 'content-type': 'text/html' }).end('<html>Bad Gateway</html>');
  },
};

const operationRule = oneOf(['*', ...OPERATIONS.keys()]);
const faultRule = oneOf([EXCEPTIONS, SPOILERS, BREAKS, { slow: true }].flatMap(Object.keys));

interface Planned {
  readonly operation: string;
  readonly fault: Fault;
  readonly delayMs: number;
  readonly keyArn: string | undefined;
  left: number;
}

/** A fault to play on one call. */
export interface Play {
  readonly fault: Fault;
  readonly delayMs: number;
  readonly exception: string | undefined;
  readonly spoil: ((answer: Readonly<Record<string, unknown>>) => string) | undefined;
  readonly breakOff: ((response: ServerResponse) => void) | undefined;
}

export class FaultPlan implements FaultInjector {
  #planned: Planned[] = [];

  inject(operation: string, fault: Fault, options: FaultOptions = {}): void {
    // One that never comes would let a test pass that it was meant for.
    operationRule(operation, 'faults.inject, operation');
    faultRule(fault, 'faults.inject, fault');
    const { times = Infinity, delayMs = 1_000, keyArn } = options;
    this.#planned.push({ operation, fault, delayMs, keyArn, left: times });
  }

  clear(): void {
    this.#planned = [];
  }

  /** The fault for this call, if one is planned; counts it. */
  take(operation: string, keyArn: string | undefined): Play | undefined {
    const planned = this.#planned.find(
      (one) =>
        one.left > 0 &&
        (one.operation === '*' || one.operation === operation) &&
        (one.keyArn === undefined || one.keyArn === keyArn),
    );
    if (planned === undefined) return undefined;
    planned.left--;
    return playOf(planned);
  }
}

function playOf({ fault, delayMs }: Planned): Play {
  return {
    fault,
    delayMs: fault === 'slow' ? delayMs : 0,
    exception: isNameIn(EXCEPTIONS, fault) ? EXCEPTIONS[fault] : undefined,
    spoil: isNameIn(SPOILERS, fault) ? SPOILERS[fault] : undefined,
    breakOff: isNameIn(BREAKS, fault) ? BREAKS[fault] : undefined,
  };
}

function isNameIn<T extends object>(table: T, name: string): name is keyof T & string {
  return Object.hasOwn(table, name);
}
