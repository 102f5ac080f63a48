/** What an answer of the KMS leaves behind: nothing, in no buffer that it went through. */
import { Readable } from 'node:stream';
import { GenerateDataKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { expect, it, vi } from 'vitest';
import { describeError, failureOf } from '../../src/kms/aws-failures.js';
import { wipeBodies } from '../../src/kms/aws-bodies.js';

const PLAINTEXT = Buffer.alloc(32, 7).toString('base64');
const ANSWER = JSON.stringify({ KeyId: 'arn:aws:kms:eu-central-1:1:key/a', Plaintext: PLAINTEXT });

/** A client whose answer comes in these pieces, with the body as the SDK gets to see it. */
function clientOf(chunks: Iterable<Buffer> | AsyncIterable<Buffer>, statusCode = 200) {
  const seen: Uint8Array[] = [];
  const response = { statusCode, headers: {}, body: Readable.from(chunks) as unknown };
  const client = new KMSClient({
    region: 'eu-central-1',
    credentials: { accessKeyId: 'a'.repeat(16), secretAccessKey: 'b'.repeat(16) },
    maxAttempts: 1,
    requestHandler: { handle: () => Promise.resolve({ response: response as never }) } as never,
  });
  wipeBodies(client);
  client.middlewareStack.add(
    (next) => async (args) => {
      const answered = await next(args);
      seen.push(response.body as Uint8Array);
      return answered;
    },
    { step: 'deserialize', priority: 'normal', name: 'look' },
  );
  return { client, seen };
}

const ask = new GenerateDataKeyCommand({ KeyId: 'alias/a', NumberOfBytes: 32 });
const isWiped = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

it.each([1, 40, 1_000])('is read whole, and wiped, when it comes in pieces of %d bytes', async (size) => {
  const bytes = Buffer.from(ANSWER);
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) chunks.push(Buffer.from(bytes.subarray(at, at + size)));
  const { client, seen } = clientOf(chunks);
  const { Plaintext } = await client.send(ask);
  expect(Buffer.from(Plaintext!).toString('base64')).toBe(PLAINTEXT);
  expect(chunks.every(isWiped)).toBe(true);
  expect(seen).toHaveLength(1);
  expect(isWiped(seen[0]!)).toBe(true);
  // Its own memory: what is wiped is nobody else's, and nobody else keeps it.
  expect(seen[0]!.buffer.byteLength).toBe(seen[0]!.length);
});

it('is wiped when the SDK cannot read it', async () => {
  const chunk = Buffer.from(`${ANSWER}!`);
  const { client, seen } = clientOf([chunk]);
  await expect(client.send(ask)).rejects.toThrow();
  expect(isWiped(chunk)).toBe(true);
  for (const body of seen) expect(isWiped(body)).toBe(true);
});

it('is wiped when the connection breaks off in the middle of it', async () => {
  const kept: Buffer[] = [];
  const alloc = vi.spyOn(Buffer, 'alloc').mockImplementation((size) => {
    const made = Buffer.from(new Uint8Array(size).buffer);
    kept.push(made);
    return made;
  });
  async function* breaking() {
    yield Buffer.from(ANSWER);
    await Promise.reject(new Error('broken off'));
  }
  const { client } = clientOf(Readable.from(breaking()));
  await expect(client.send(ask)).rejects.toThrow('broken off');
  alloc.mockRestore();
  expect(kept.some(({ length }) => length === ANSWER.length)).toBe(true);
  expect(kept.every(isWiped)).toBe(true);
});

it('is given up where it is longer than any of the KMS, since whatever answers there is not the KMS', async () => {
  let pieces = 0;
  async function* endless() {
    for (; pieces < 1_000; pieces++) yield await Promise.resolve(Buffer.alloc(8_192, 32));
  }
  const body = Readable.from(endless());
  const { client, seen } = clientOf(body);
  const error: unknown = await client.send(ask).catch((thrown: unknown) => thrown);
  expect(failureOf(error).code).toBe('ERR_KMS_RESPONSE');
  expect(describeError(error)).toContain('AnswerTooLong');
  expect(pieces).toBeLessThan(50);
  expect(body.destroyed).toBe(true);
  expect(seen).toEqual([]);
});
