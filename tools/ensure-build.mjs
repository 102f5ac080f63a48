// Builds dist/ when it does not fit the sources.
import { buildWhenChanged, filesBelow } from './build-when-changed.mjs';

await buildWhenChanged({
  name: 'fieldseal-build',
  files: [...filesBelow('src'), 'package.json', 'tsconfig.json', 'tsdown.config.ts'],
  result: 'dist/index.mjs',
  commands: [['node_modules/tsdown/dist/run.mjs', '--logLevel', 'error']],
});
