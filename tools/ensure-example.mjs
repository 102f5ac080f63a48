// Builds the package and example-app/dist/ when they do not fit the sources.
import './ensure-build.mjs';
import { buildWhenChanged, filesBelow } from './build-when-changed.mjs';

await buildWhenChanged({
  name: 'fieldseal-example',
  files: [...filesBelow('example-app', ['dist', 'node_modules']), 'tsconfig.json'],
  result: 'example-app/dist/bin/demo.js',
  commands: [
    // What is gone from the sources goes from what was built.
    ['-e', `fs.rmSync('example-app/dist', { recursive: true, force: true })`],
    ['node_modules/typescript/bin/tsc', '-p', 'example-app'],
  ],
});
