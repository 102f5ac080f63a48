/**
 * Connections to the KMS. What a socket has read stays in its buffer until it reads again; in answers of the KMS that is
 * keys, in a process that may be taken over later. So each piece is wiped when the HTTP parser is done with it.
 */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Duplex } from 'node:stream';

/** As many as the AWS SDK opens by itself, kept open between calls as it keeps them. */
const SETTINGS = { keepAlive: true, maxSockets: 50 };

/** Agents for one client of the SDK, which destroys them with itself. */
export function wipingAgents(): { readonly httpAgent: HttpAgent; readonly httpsAgent: HttpsAgent } {
  return { httpAgent: wiping(new HttpAgent(SETTINGS)), httpsAgent: wiping(new HttpsAgent(SETTINGS)) };
}

function wiping<T extends HttpAgent>(agent: T): T {
  const connect = agent.createConnection.bind(agent);
  agent.createConnection = (...args) => {
    const socket = connect(...args);
    if (socket) wipeReads(socket);
    return socket;
  };
  return agent;
}

/**
 * The parser reads a piece in a listener of the same event and hands on copies of what is in it (`on_body` in Node's
 * src/node_http_parser.cc); the next tick comes after all listeners.
 */
function wipeReads(socket: Duplex): void {
  socket.on('data', (piece: Buffer) => {
    process.nextTick(() => piece.fill(0));
  });
}
