// Makes the cells in test/vectors/ with all that is needed to open them: cells-v1.json has every codec, suite and option,
// cells-v1-deliveries.json the deliveries that carry their key along.
// Run once per file; they are kept for ever, so an existing one is never written over.
import { createECDH, createPrivateKey, createPublicKey } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createServer } from 'vite';

const repository = dirname(dirname(fileURLToPath(import.meta.url)));
const vectors = join(repository, 'test', 'vectors');

const server = await createServer({
  root: repository,
  configFile: false,
  logLevel: 'error',
  appType: 'custom',
  server: { middlewareMode: true, watch: null },
  optimizeDeps: { noDiscovery: true },
});
const load = (path) => server.ssrLoadModule(path);
const { cellColumn } = await load('/src/cell/column.ts');
const { encodeBinding } = await load('/src/cell/binding.ts');
const { DataKey } = await load('/src/cell/data-key.ts');
const { kekRefOf } = await load('/src/cell/delivery-header.ts');
const { PublicKey } = await load('/src/cell/key-pair.ts');
const { sealCells } = await load('/src/cell/seal.ts');

const id = [{ name: 'id', kind: 'uuid', value: '0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b' }];
const row = [
  { name: 'tenant', kind: 'text', value: 'Zürich' },
  { name: 'number', kind: 'integer', value: '42' },
  { name: 'active', kind: 'boolean', value: true },
];
// [codec, value as JSON, options]; dates as ISO text, bigint as digits, bytes as hex
const values = [
  ['string', '4111111111111111', {}],
  ['string', '4111111111111111', { bound: id }],
  ['string', '4111111111111111', { pad: 16 }],
  ['string', '', {}],
  ['string', 'a', { bound: row, pad: 255 }],
  ['string', 'fifteen bytes !', {}],
  ['string', 'Zoë 🂡, a name of more than two blocks in UTF-8', { bound: row }],
  ['string', 'x'.repeat(5000), {}],
  ['number', 1.5, {}],
  ['number', -1e300, { pad: 1 }],
  ['bigint', '-1606938044258990275541962092341162602522202993782792835301376', {}],
  ['boolean', true, {}],
  ['boolean', false, { pad: 16 }],
  ['date', '1969-12-31T23:59:59.999Z', {}],
  ['date', '2026-07-28T12:34:56.789Z', { bound: id }],
  ['json', { name: 'Ada', tags: ['a', null, 1.5, true], ü: {} }, {}],
  ['bytes', '', {}],
  ['bytes', '00ff00ff80', { bound: row }],
];
const fromJson = {
  bigint: BigInt,
  date: (text) => new Date(text),
  bytes: (hex) => Buffer.from(hex, 'hex'),
};

/** A root that is the same whenever it is made. */
const rootOf = (i, s) => Buffer.alloc(32, 0).map((_, b) => (b * 7 + i * 11 + s * 13) & 0xff);

function sealOne(suite, [codec, value, { bound = [], pad = 0 }], names, key) {
  const column = cellColumn({ ...names, codec, pad, bound: bound.length > 0 });
  const binding = bound.length > 0 ? encodeBinding(bound) : undefined;
  const sealed = sealCells(suite, column, [fromJson[codec]?.(value) ?? value], [key], binding && [binding]);
  const cell = sealed.cells[0].toString('hex');
  return { ...names, codec, pad, bound, value, fingerprint: key.fingerprint, cell };
}

function namesOf(i, codec) {
  return {
    application: 'shop',
    environment: i % 2 === 0 ? 'production' : 'test',
    purpose: codec === 'string' ? 'card-number' : 'personal-data',
    entity: 'cards',
    field: i % 3 === 0 ? 'größe' : 'pan',
  };
}

const SUITES = ['aes-256-siv', 'xaes-256-gcm'];

const poolCells = () =>
  SUITES.flatMap((suite, s) =>
    values.map((value, i) => {
      const root = rootOf(i, s);
      const names = namesOf(i, value[0]);
      const key = DataKey.derive(Buffer.from(root), names);
      const name = `${suite} ${value[0]} ${i}`;
      return { name, suite, root: root.toString('hex'), ...sealOne(suite, value, names, key) };
    }),
  );

/** A pair that is the same whenever it is made: P-256 with this private scalar. */
function pairOf(scalar) {
  const ecdh = createECDH('prime256v1');
  ecdh.setPrivateKey(scalar);
  const point = ecdh.getPublicKey();
  const [d, x, y] = [scalar, point.subarray(1, 33), point.subarray(33)].map((part) =>
    part.toString('base64url'),
  );
  const privateKey = createPrivateKey({ key: { kty: 'EC', crv: 'P-256', d, x, y }, format: 'jwk' });
  return {
    privateKey: privateKey.export({ format: 'der', type: 'pkcs8' }),
    publicKey: createPublicKey(privateKey).export({ format: 'der', type: 'spki' }),
  };
}

/** The key, and what a reader needs besides its root. */
const DELIVERIES = {
  envelope(root, names, i) {
    const kek = `arn:aws:kms:eu-central-1:111122223333:key/0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5${i % 2}`;
    const wrapped = Buffer.alloc(i % 2 === 0 ? 184 : 40).map((_, b) => (b * 5 + i) & 0xff);
    const key = DataKey.deriveEnvelope(Buffer.from(root), names, { kekRef: kekRefOf(kek), wrapped });
    return { key, carried: { kek, wrapped: wrapped.toString('hex') } };
  },
  sealed(root, names, i) {
    const { privateKey, publicKey } = pairOf(rootOf(i, 5));
    const pair = PublicKey.parse(publicKey, names);
    const { encapsulated, ciphertext } = pair.seal(root);
    const key = DataKey.deriveSession(Buffer.from(root), names, pair.fingerprint, {
      encapsulated,
      sessionKey: ciphertext,
    });
    return { key, carried: { privateKey: privateKey.toString('hex'), publicKey: publicKey.toString('hex') } };
  },
};

const deliveryCells = () =>
  Object.entries(DELIVERIES).flatMap(([delivery, deliver], d) =>
    SUITES.flatMap((suite, s) =>
      values.slice(0, 5).map((value, i) => {
        const root = rootOf(i, 17 + 2 * d + s);
        const names = namesOf(i, value[0]);
        const { key, carried } = deliver(root, names, i);
        const name = `${delivery} ${suite} ${value[0]} ${i}`;
        const about = { name, delivery, suite, root: root.toString('hex'), ...carried };
        return { ...about, ...sealOne(suite, value, names, key) };
      }),
    ),
  );

const FILES = [
  [
    'cells-v1.json',
    poolCells,
    'Cells of format version 1, made by tools/make-cells.mjs; date as ISO text, bigint as digits, bytes as hex.',
  ],
  [
    'cells-v1-deliveries.json',
    deliveryCells,
    'Cells of format version 1 that carry their key, made by tools/make-cells.mjs; root is what is wrapped or sealed, ' +
      'privateKey PKCS #8, publicKey SubjectPublicKeyInfo. The wraps are not of any KEK.',
  ],
];
for (const [file, make, about] of FILES) {
  const target = join(vectors, file);
  if (existsSync(target)) {
    console.log(`${target} exists. Cells of a release stay as they are.`);
    continue;
  }
  const cells = make();
  writeFileSync(target, `${JSON.stringify({ about, cells }, null, 1)}\n`);
  console.log(`${cells.length} cells in ${target}`);
}
await server.close();
