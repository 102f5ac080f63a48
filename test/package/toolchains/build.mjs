// Builds shop.ts and a main program of `folder` into a folder below it, packages left outside: node build.mjs <tool> <folder>
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { transformSync } from '@swc/core';
import { build } from 'esbuild';
import webpack from 'webpack';

const [, , tool, folder] = process.argv;
const out = join(folder, tool);

const SWC = {
  jsc: { parser: { syntax: 'typescript', decorators: true }, transform: { legacyDecorator: true } },
};

const TOOLS = {
  'esbuild-cjs': () => esbuild('cjs'),
  'esbuild-esm': () => esbuild('esm'),
  swc,
  webpack: bundle,
};

mkdirSync(out);
// Ends the search for a package.json, whose type would be the project's.
const type = tool === 'esbuild-esm' ? 'module' : 'commonjs';
writeFileSync(join(out, 'package.json'), JSON.stringify({ type }));
await TOOLS[tool]();

function esbuild(format) {
  return build({
    entryPoints: [join(folder, 'main.ts')],
    outfile: join(out, 'main.js'),
    bundle: true,
    platform: 'node',
    packages: 'external',
    format,
    tsconfigRaw: { compilerOptions: { experimentalDecorators: true } },
  });
}

/** File by file into CommonJS, as Nest's command does. */
function swc() {
  for (const name of ['main', 'shop']) {
    const options = { ...SWC, module: { type: 'commonjs' } };
    const { code } = transformSync(readFileSync(join(folder, `${name}.ts`), 'utf8'), options);
    writeFileSync(join(out, `${name}.js`), code);
  }
}

/** Of what swc leaves as modules: webpack itself knows no TypeScript. */
function bundle() {
  for (const name of ['main', 'shop']) {
    const { code } = transformSync(readFileSync(join(folder, `${name}.ts`), 'utf8'), SWC);
    writeFileSync(join(out, `${name}.mjs`), code.replace('./shop', './shop.mjs'));
  }
  const compiler = webpack({
    mode: 'production',
    target: 'node20',
    context: out,
    entry: './main.mjs',
    output: { path: out, filename: 'main.js' },
    // Everything that is no file of the application, as webpack-node-externals does.
    externals: [/^[^./]/u],
    externalsType: 'commonjs',
  });
  return new Promise((resolve, reject) => {
    compiler.run((error, stats) => {
      if (error ?? stats.hasErrors()) reject(error ?? new Error(stats.toString('errors-only')));
      else resolve();
    });
  });
}
