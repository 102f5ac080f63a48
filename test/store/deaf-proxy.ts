/** A proxy in front of PostgreSQL that passes everything on but, while it is deaf, notifications. */
import net from 'node:net';

const NOTIFICATION_RESPONSE = 'A'.charCodeAt(0);
/** A message of the server: one byte for its type, then four for its length, themselves included. */
const HEADER_BYTES = 5;

export interface DeafProxy {
  readonly url: string;
  /** Whether notifications are swallowed. At first they are. */
  deaf: boolean;
  close(): Promise<void>;
}

export async function startDeafProxy(target: string): Promise<DeafProxy> {
  const { hostname, port } = new URL(target);
  const open = new Set<net.Socket>();
  const server = net.createServer((client) => {
    const upstream = net.connect(Number(port || 5432), hostname);
    const messages = new Messages();
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        open.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (bytes) => upstream.write(bytes));
    upstream.on('data', (bytes) => {
      for (const message of messages.take(bytes)) {
        if (!(proxy.deaf && message[0] === NOTIFICATION_RESPONSE)) client.write(message);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const through = new URL(target);
  [through.hostname, through.port] = ['127.0.0.1', String((server.address() as net.AddressInfo).port)];
  const proxy: DeafProxy = {
    url: through.href,
    deaf: true,
    close: () =>
      new Promise((resolve) => {
        for (const socket of open) socket.destroy();
        server.close(() => {
          resolve();
        });
      }),
  };
  return proxy;
}

/** Cuts a stream of bytes into whole messages. */
class Messages {
  #rest = Buffer.alloc(0);

  take(bytes: Buffer): Buffer[] {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    const whole: Buffer[] = [];
    while (this.#rest.length >= HEADER_BYTES) {
      const length = 1 + this.#rest.readUInt32BE(1);
      if (this.#rest.length < length) break;
      whole.push(this.#rest.subarray(0, length));
      this.#rest = this.#rest.subarray(length);
    }
    return whole;
  }
}
