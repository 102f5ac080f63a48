// Makes test/vectors/cells-v1.json: cells of every codec, suite and option with all that is needed to open them.
// Run once per format; the file is kept for ever, so an existing one is never written over.
import { existsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { createServer } from 'vite';

const repository = dirname(dirname(fileURLToPath(import.meta.url)));
const target = join(repository, 'test', 'vectors', 'cells-v1.json');
if (existsSync(target)) {
  console.error(`${target} exists. Cells of a release stay as they are.`);
  process.exit(1);
}

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

const cells = ['aes-256-siv', 'xaes-256-gcm'].flatMap((suite, s) =>
  values.map(([codec, value, { bound = [], pad = 0 }], i) => {
    const root = Buffer.alloc(32, 0).map((_, b) => (b * 7 + i * 11 + s * 13) & 0xff);
    const names = {
      application: 'shop',
      environment: i % 2 === 0 ? 'production' : 'test',
      purpose: codec === 'string' ? 'card-number' : 'personal-data',
      entity: 'cards',
      field: i % 3 === 0 ? 'größe' : 'pan',
    };
    const column = cellColumn({ ...names, codec, pad, bound: bound.length > 0 });
    const key = DataKey.derive(Buffer.from(root), names);
    const binding = bound.length > 0 ? encodeBinding(bound) : undefined;
    const sealed = sealCells(suite, column, [fromJson[codec]?.(value) ?? value], [key], binding && [binding]);
    return {
      name: `${suite} ${codec} ${i}`,
      suite,
      root: root.toString('hex'),
      ...names,
      codec,
      pad,
      bound,
      value,
      fingerprint: key.fingerprint,
      cell: sealed.cells[0].toString('hex'),
    };
  }),
);
const about =
  'Cells of format version 1, made by tools/make-cells.mjs; date as ISO text, bigint as digits, bytes as hex.';
writeFileSync(target, `${JSON.stringify({ about, cells }, null, 1)}\n`);
console.log(`${cells.length} cells in ${target}`);
await server.close();
