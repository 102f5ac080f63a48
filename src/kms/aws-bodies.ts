/**
 * Answers of the KMS hold keys. The buffers of sockets, and those that the SDK collects them in, are shared and live on for
 * a while, where whoever runs code in the process can read them. So an answer is collected here, in a buffer of its own,
 * and both are wiped: the socket's as soon as it is copied, ours when the SDK has read it.
 */
import type { KMSClient } from '@aws-sdk/client-kms';

/** Longest answer, bytes: many times what the longest members of any (AWS KMS API Reference) come to. */
const MAX_BYTES = 65_536;

/** What the SDK's HTTP handler gives; the rest is its own. */
interface Answered {
  readonly response: { body?: unknown };
}

/** The SDK takes bytes where it takes a stream, and does not copy them. */
export function wipeBodies(client: Pick<KMSClient, 'middlewareStack'>): void {
  const bodies = new WeakMap<object, Uint8Array>();
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const answered = await next(args);
      const { response } = answered as Answered;
      if (isStream(response.body)) {
        const body = await collected(response.body);
        bodies.set(context, body);
        response.body = body;
      }
      return answered;
    },
    { step: 'deserialize', priority: 'low', name: 'fieldsealCollectBody' },
  );
  client.middlewareStack.add(
    (next, context) => async (args) => {
      try {
        return await next(args);
      } finally {
        bodies.get(context)?.fill(0);
      }
    },
    { step: 'deserialize', priority: 'high', name: 'fieldsealWipeBody' },
  );
}

function isStream(body: unknown): body is AsyncIterable<Uint8Array> {
  return typeof body === 'object' && body !== null && Symbol.asyncIterator in body;
}

async function collected(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  // Never of the pool that small buffers of the whole process share.
  let body = Buffer.alloc(0);
  try {
    for await (const chunk of stream) {
      if (body.length + chunk.length > MAX_BYTES) throw tooLong();
      const longer = Buffer.alloc(body.length + chunk.length);
      longer.set(body);
      longer.set(chunk, body.length);
      body.fill(0);
      chunk.fill(0);
      body = longer;
    }
    return body;
  } catch (error) {
    // A key may have come before.
    body.fill(0);
    throw error;
  }
}

/** By its name an answer that the KMS does not give. */
function tooLong(): Error {
  return Object.assign(new Error(`expected ${MAX_BYTES} bytes at most, got more`), { name: 'AnswerTooLong' });
}
