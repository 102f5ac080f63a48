/** AWS JSON 1.1 over HTTP: `POST /`, the operation in `X-Amz-Target`, one JSON document each way. */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { isFieldSealError } from '../../errors.js';
import type { AuditEntry, AuditLog } from './audit.js';
import { Call } from './call.js';
import type { Surroundings } from './call.js';
import { AwsException } from './exceptions.js';
import type { FaultPlan, Play } from './faults.js';
import { keyArn } from './arns.js';
import { OPERATIONS } from './operations/table.js';
import type { EmulatorPrincipal } from './policy-file.js';
import { authenticate } from './sigv4.js';

const TARGET_PREFIX = 'TrentService.';

/** Largest request, bytes; AWS's members add up to far less. */
const MAX_BODY_BYTES = 256 * 1_024;

export interface ServerParts extends Surroundings {
  readonly principals: readonly EmulatorPrincipal[];
  readonly faults: FaultPlan;
  readonly audit: AuditLog;
}

/** What is known of a request so far; filled as it goes, read by the audit log. */
interface Progress {
  readonly requestId: string;
  event: string;
  principal: string | null;
  call: Call | undefined;
}

/** An answer's body, or a fault that answers in its own way. */
type Reply = { readonly body: string } | { readonly breakOff: Play };

export function createKmsServer(parts: ServerParts): Server {
  return createServer((request, response) => {
    answer(parts, request, response).catch(() => response.destroy());
  });
}

async function answer(parts: ServerParts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const progress: Progress = { requestId: randomUUID(), event: 'Unknown', principal: null, call: undefined };
  try {
    const reply = await runOperation(parts, request, progress);
    if ('breakOff' in reply) {
      record(parts, progress, `fault: ${reply.breakOff.fault}`);
      reply.breakOff.breakOff?.(response);
    } else {
      record(parts, progress, null);
      send(parts, response, 200, progress.requestId, reply.body);
    }
  } catch (error) {
    const { name, message, status } = asException(error);
    record(parts, progress, name);
    send(parts, response, status, progress.requestId, JSON.stringify({ __type: name, message }));
  }
}

async function runOperation(
  parts: ServerParts,
  request: IncomingMessage,
  progress: Progress,
): Promise<Reply> {
  const body = await readBody(request);
  if (request.method !== 'POST' || request.url !== '/') {
    throw new AwsException('UnknownOperationException', 'This service answers POST / alone.');
  }
  const { keys, principals } = parts;
  const principal = authenticate({ headers: request.headers, body }, principals, keys.region, parts.now());
  progress.principal = principal.name;
  progress.event = operationOf(request);
  const members = parseBody(body);
  const play = parts.faults.take(progress.event, namedKey(parts, members));
  if (play?.breakOff !== undefined) return { breakOff: play };
  if (play?.exception !== undefined) throw new AwsException(play.exception, 'The fault was asked for.');
  if (play !== undefined && play.delayMs > 0) await pause(play.delayMs, undefined, { ref: false });
  const operation = OPERATIONS.get(progress.event);
  if (operation === undefined)
    throw new AwsException('UnknownOperationException', 'There is no such operation.');
  progress.call = new Call(progress.event, principal, members, parts);
  const result = operation(progress.call);
  return { body: play?.spoil?.(result) ?? JSON.stringify(result) };
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) throw new AwsException('ValidationException', 'The request is too large.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function operationOf(request: IncomingMessage): string {
  const target = request.headers['x-amz-target'];
  const name = typeof target === 'string' ? target : '';
  return name.startsWith(TARGET_PREFIX) ? name.slice(TARGET_PREFIX.length) : 'Unknown';
}

function parseBody(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    throw new AwsException('SerializationException', 'The request is not JSON.');
  }
}

function namedKey(parts: ServerParts, members: unknown): string | undefined {
  const name = (members as { readonly KeyId?: unknown } | null)?.KeyId;
  const key = typeof name === 'string' ? parts.keys.find(name) : undefined;
  return key === undefined ? undefined : keyArn(parts.keys.region, key.keyId);
}

function record(parts: ServerParts, progress: Progress, error: string | null): void {
  const [used, destination] = progress.call?.usedKeys ?? [];
  const entry: AuditEntry = {
    at: parts.now(),
    requestId: progress.requestId,
    event: progress.event,
    principal: progress.principal,
    keyArn: used?.keyArn ?? null,
    encryptionContext: used?.encryptionContext ?? null,
    destination:
      destination === undefined
        ? null
        : { keyArn: destination.keyArn, encryptionContext: destination.encryptionContext ?? {} },
    error,
  };
  parts.audit.append(entry);
}

function send(
  parts: ServerParts,
  response: ServerResponse,
  status: number,
  requestId: string,
  body: string,
): void {
  const headers = {
    'content-type': 'application/x-amz-json-1.1',
    'x-amzn-requestid': requestId,
    // From this header SDKs learn how far their own clock is off.
    date: new Date(parts.now()).toUTCString(),
  };
  response.writeHead(status, headers).end(body);
}

/** Anything else is told as AWS tells its own mistakes, and without details where nobody has looked through them. */
function asException(error: unknown): AwsException {
  if (error instanceof AwsException) return error;
  return new AwsException(
    'KMSInternalException',
    isFieldSealError(error) ? error.message : 'An internal error.',
  );
}
