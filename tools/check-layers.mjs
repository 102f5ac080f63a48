// Proves that imports between the folders of src/ point one way. The table is the architecture: what each folder may
// import besides itself.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const src = fileURLToPath(new URL('../src', import.meta.url));

const MAY_IMPORT = {
  errors: [],
  cell: ['errors'],
  keys: ['errors', 'cell'],
  kms: ['errors', 'cell', 'keys'],
  store: ['errors', 'cell', 'keys'],
  service: ['errors', 'cell', 'keys'],
  typeorm: ['errors', 'cell', 'keys'],
  index: ['errors', 'cell', 'keys', 'service'],
  nestjs: ['typeorm', 'index'],
  policy: ['errors', 'keys', 'kms', 'store', 'service'],
  // Of typeorm the list of encrypted columns alone: grants must come from the declarations themselves.
  cli: ['errors', 'cell', 'keys', 'kms', 'store', 'service', 'policy', 'typeorm', 'index'],
  testing: ['errors', 'cell', 'keys', 'kms', 'store', 'service', 'typeorm', 'index'],
};

/** The packages of each folder. The public face takes no ORM, no driver, no SDK and no HTTP along. */
const PACKAGES = {
  errors: /^node:util\/types$/u,
  cell: /^(node:(crypto|util|util\/types|os)|lru-cache)$/u,
  keys: /^(node:(crypto|util|util\/types|perf_hooks)|lru-cache)$/u,
  kms: /^(node:.*|@aws-sdk\/client-kms|zod)$/u,
  store: /^(node:.*|pg)$/u,
  service: /^node:(crypto|util|util\/types)$/u,
  typeorm: /^(node:(async_hooks|crypto|util|util\/types)|typeorm|lru-cache)$/u,
  policy: /^$/u,
  nestjs: /^(node:util|@nestjs\/(common|core|typeorm)|typeorm)$/u,
  // The type of a DataSource; its code is loaded by the typeorm folder alone.
  cli: /^(node:.*|commander|typeorm)$/u,
  testing: /^node:.*$/u,
};

function* sources(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* sources(path);
    else if (/\.ts$/.test(entry.name)) yield path;
  }
}

const layerOf = (path) =>
  relative(src, path)
    .split('/')[0]
    .replace(/\.(ts|js)$/, '');

const problems = [];
let files = 0;
for (const file of sources(src)) {
  files += 1;
  const layer = layerOf(file);
  const allowed = MAY_IMPORT[layer];
  if (!allowed) {
    problems.push(`${relative(src, file)}: folder "${layer}" is not in the table of tools/check-layers.mjs`);
    continue;
  }
  for (const { fileName } of ts.preProcessFile(readFileSync(file, 'utf8'), true, true).importedFiles) {
    if (fileName.startsWith('.')) {
      const target = layerOf(resolve(dirname(file), fileName));
      if (target !== layer && !allowed.includes(target)) {
        problems.push(
          `${relative(src, file)} imports ${fileName}: "${layer}" may import only ${allowed.join(', ') || 'nothing'}`,
        );
      }
    } else if (!PACKAGES[layer]?.test(fileName)) {
      problems.push(`${relative(src, file)} imports ${fileName}: not a package that "${layer}" may use`);
    }
  }
}

if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exit(1);
}
console.log(`layers: ${files} files, imports point one way`);
