/** What a connection to the KMS has read: nothing is left of it, on no connection and in no piece. */
import { once } from 'node:events';
import { createServer, get, type Agent, type RequestListener } from 'node:http';
import { createServer as createTlsServer, get as getTls } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { wipingAgents } from '../../src/kms/aws-connections.js';

const ANSWER = JSON.stringify({ Plaintext: Buffer.alloc(32, 7).toString('base64') });
const LONG_ANSWER = JSON.stringify({ Plaintext: Buffer.alloc(200_000, 7).toString('base64') });

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** By name, how the answer is written. */
const ANSWERS: Readonly<Record<string, RequestListener>> = {
  'with its length': (_, answer) => answer.setHeader('content-length', ANSWER.length).end(ANSWER),
  'in chunks': (_, answer) => {
    answer.write(ANSWER.slice(0, 10));
    setTimeout(() => answer.end(ANSWER.slice(10)), 20);
  },
  'of many pieces': (_, answer) => answer.end(LONG_ANSWER),
};

/** Of this machine and good for nothing else. */
const TLS_KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgkiDB8NLubXRieQOL
aj6IDcca3qgvw48byGgPHVVbcj6hRANCAASy2lBCN8sIAbruVgjMHz4Q7nHX1LxD
XRpWk7kVLYpKZKD3DqoiwYLKLhLgm34yOl2g6rIISJegIaQ/ZgjfjzeA
-----END PRIVATE KEY-----`;
const TLS_CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBmzCCAUGgAwIBAgIUBTCNoZsPJDT0ZGAnOMR+Ux6SeI8wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEzMDAwNDkxOVoYDzIxMjYxMTA2
MDA0OTE5WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAASy2lBCN8sIAbruVgjMHz4Q7nHX1LxDXRpWk7kVLYpKZKD3DqoiwYLK
LhLgm34yOl2g6rIISJegIaQ/ZgjfjzeAo28wbTAdBgNVHQ4EFgQUVM/UlRPLO2Q3
/25bX2zQKVQZV9owHwYDVR0jBBgwFoAUVM/UlRPLO2Q3/25bX2zQKVQZV9owDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSAAwRQIhAMz11r5JjtttH1c3OIU38cqj6YXBY8H1FidEGxev85z8AiBI
I23F15+YJCl8mPhkSGWjcN5ny5JdFfF4x+QFTIGR/w==
-----END CERTIFICATE-----`;

/** Two calls one after another, over one connection, and every piece that it read. */
async function ask(isTls: boolean, listener: RequestListener) {
  const server = isTls
    ? createTlsServer({ key: TLS_KEY, cert: TLS_CERTIFICATE }, listener)
    : createServer(listener);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { httpAgent, httpsAgent } = wipingAgents();
  const agent: Agent = isTls ? httpsAgent : httpAgent;
  ends.push(() => {
    agent.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const url = `${isTls ? 'https' : 'http'}://127.0.0.1:${port}`;
  const sockets = new Set<Duplex>();
  const pieces: Buffer[] = [];
  const call = async (): Promise<string> => {
    const request = isTls ? getTls(url, { agent, ca: TLS_CERTIFICATE }) : get(url, { agent });
    request.on('socket', (socket) => {
      if (sockets.has(socket)) return;
      sockets.add(socket);
      socket.on('data', (piece: Buffer) => pieces.push(piece));
    });
    const [answer] = (await once(request, 'response')) as [NodeJS.ReadableStream];
    return text(answer);
  };
  const answers = [await call(), await call()];
  await new Promise(setImmediate);
  return { answers, pieces, connections: sockets.size };
}

const isWiped = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

describe.each(['http', 'https'])('an answer over %s', (protocol) => {
  it.each(Object.keys(ANSWERS))('%s is read whole, and no piece keeps it', async (how) => {
    const { answers, pieces, connections } = await ask(protocol === 'https', ANSWERS[how]!);
    const sent = how === 'of many pieces' ? LONG_ANSWER : ANSWER;
    expect(answers).toEqual([sent, sent]);
    expect(connections).toBe(1);
    expect(pieces.length).toBeGreaterThan(1);
    expect(pieces.every(isWiped)).toBe(true);
  });
});
