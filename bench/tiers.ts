/**
 * Requests per second that a web tier takes which stores a card with each, by delivery. HTTP, TypeORM, PostgreSQL and the
 * KMS emulator are real; the load comes from another thread, the emulator is another process. The ways take turns; a ratio
 * is requests of a way to requests without encryption. Options: --json (one JSON object on stdout), --short.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { startPostgres } from '@fieldseal/test-support';
import autocannon from 'autocannon';
import type { AwsKmsOptions } from '../src/kms/aws.js';
import { migrateKeyStore } from '../src/store/postgres.js';
import { createDatabases } from './orm/databases.js';
import { machine, medianRatio, rotated } from './rounds.js';
import { REUSE, WAYS, type OpenWay, type Store } from './tiers/ways.js';

const short = process.argv.includes('--short');
const ROUNDS = short ? 1 : 7;
const SECONDS = short ? 1 : 4;
const WARM_UP_SECONDS = short ? 1 : 3;
const CONNECTIONS = 10;
const KEKS = ['alias/card-a', 'alias/card-b'];

// The SDK's advice to leave Node 20 is of no use here.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';

const [postgres, kms] = await Promise.all([startPostgres(), startKms()]);
const urls = await createDatabases(postgres.url);
await migrateKeyStore({ connectionString: urls.keys });
const ways = new Map<string, OpenWay>();
for (const [name, open] of Object.entries(WAYS))
  ways.set(name, await open({ url: urls.inserts, keyStoreUrl: urls.keys, kms: kms.options }));
const server = await serve(new Map([...ways].map(([name, way]) => [`/${name}`, way.store])));

const perSecond = new Map([...ways.keys()].map((name) => [name, [] as number[]]));
for (const name of ways.keys()) await drive(name, WARM_UP_SECONDS);
for (let round = 0; round < ROUNDS; round++)
  for (const name of rotated([...ways.keys()], round)) perSecond.get(name)!.push(await drive(name, SECONDS));

server.close();
for (const way of ways.values()) await way.close();
await Promise.all([postgres.stop(), kms.stop()]);

const plain = perSecond.get('plain')!;
const result = {
  machine: machine(),
  versions: {
    node: process.versions.node,
    typeorm: versionOf('typeorm'),
    autocannon: versionOf('autocannon'),
  },
  settings: { rounds: ROUNDS, seconds: SECONDS, connections: CONNECTIONS, reuse: REUSE },
  requestsPerSecond: Object.fromEntries([...perSecond].map(([name, all]) => [name, Math.round(median(all))])),
  vsPlain: Object.fromEntries([...perSecond].map(([name, all]) => [name, medianRatio(all, plain)])),
};
if (process.argv.includes('--json')) console.log(JSON.stringify(result));
else console.table(Object.keys(result.vsPlain).map((name) => rowOf(name)));

function rowOf(name: string) {
  return { way: name, 'requests/s': result.requestsPerSecond[name], 'to plain': result.vsPlain[name] };
}

/** Requests per second. */
async function drive(name: string, duration: number): Promise<number> {
  const { port } = server.address() as AddressInfo;
  const { requests, non2xx, errors, ...ended } = await autocannon({
    url: `http://127.0.0.1:${port}/${name}`,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ pan: '4111111111111111' }),
    connections: CONNECTIONS,
    duration,
    workers: 1,
  });
  if (non2xx + errors > 0) throw new Error(`${name}: ${non2xx + errors} requests were not answered.`);
  return requests.total / ended.duration;
}

async function serve(stores: ReadonlyMap<string, Store>): Promise<Server> {
  const listening = createServer((request, response) => {
    const store = stores.get(request.url ?? '')!;
    bodyOf(request)
      .then((body) => store((JSON.parse(body) as { readonly pan: string }).pan))
      .then(
        () => response.writeHead(201).end(),
        () => response.writeHead(500).end(),
      );
  });
  listening.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  return listening;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

/** In a process of its own: what it costs is not the web tier's. */
async function startKms(): Promise<{ readonly options: AwsKmsOptions; stop(): Promise<unknown> }> {
  const child = spawn(
    process.execPath,
    ['dist/cli/main.mjs', 'dev-kms', '--port', '0', '--create-key', ...KEKS],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (line.startsWith('Stop with')) break;
  }
  const said = (pattern: RegExp): string => pattern.exec(lines.join('\n'))![1]!;
  return {
    options: {
      region: said(/^Region: (.+)$/mu),
      endpoint: said(/^KMS emulator: (.+)$/mu),
      credentials: {
        accessKeyId: said(/AWS_ACCESS_KEY_ID=(\S+)/u),
        secretAccessKey: said(/AWS_SECRET_ACCESS_KEY=(\S+)/u),
      },
      keks: { 'card-number': KEKS },
    },
    stop: () => {
      child.kill('SIGTERM');
      return once(child, 'close');
    },
  };
}

function median(figures: readonly number[]): number {
  return [...figures].sort((a, b) => a - b)[figures.length >> 1]!;
}

function versionOf(name: string): string {
  const manifest = readFileSync(`node_modules/${name}/package.json`, 'utf8');
  return (JSON.parse(manifest) as { readonly version: string }).version;
}
