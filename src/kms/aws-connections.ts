/**
 * Connections to the KMS. What a socket has read stays in memory until that is used again; in answers of the KMS it is keys,
 * in a process that may be taken over later. So each socket reads into one buffer of its own, which is wiped at once, and
 * each piece that was taken from it is wiped when the HTTP parser is done with it. Left to itself Node makes a buffer a
 * read, and frees it as it is; the next one that is made without being filled shows what was in it.
 */
import { Agent as HttpAgent, type ClientRequestArgs } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Duplex } from 'node:stream';

/** As many as the AWS SDK opens by itself, kept open between calls as it keeps them. */
const SETTINGS = { keepAlive: true, maxSockets: 50 };

/** Bytes that are read at a time: most answers come in one piece. */
const READ_BYTES = 8_192;

/** Agents for one client of the SDK, which destroys them with itself. */
export function wipingAgents(): { readonly httpAgent: HttpAgent; readonly httpsAgent: HttpsAgent } {
  return { httpAgent: wiping(new HttpAgent(SETTINGS)), httpsAgent: wiping(new HttpsAgent(SETTINGS)) };
}

function wiping<T extends HttpAgent>(agent: T): T {
  const connect = agent.createConnection.bind(agent);
  agent.createConnection = (options, ...more) => {
    const onread = {
      buffer: Buffer.alloc(READ_BYTES),
      callback(bytes: number, buffer: Uint8Array) {
        const piece = Buffer.alloc(bytes, buffer.subarray(0, bytes));
        buffer.fill(0, 0, bytes);
        return socket?.push(piece) ?? false;
      },
    };
    const socket = connect({ ...options, onread } as ClientRequestArgs, ...more);
    if (socket) wipePieces(socket);
    return socket;
  };
  return agent;
}

/**
 * The parser reads a piece in a listener of the same event and hands on copies of what is in it (`on_body` in Node's
 * src/node_http_parser.cc); the next tick comes after all listeners.
 */
function wipePieces(socket: Duplex): void {
  socket.on('data', (piece: Buffer) => {
    process.nextTick(() => piece.fill(0));
  });
}
