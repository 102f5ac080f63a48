import { defineConfig } from 'tsdown';

/** One entry per subpath of `exports`. */
const LIBRARY = {
  index: 'src/index.ts',
  'typeorm/index': 'src/typeorm/index.ts',
  'nestjs/index': 'src/nestjs/index.ts',
  'aws-kms': 'src/kms/aws.ts',
  'local-keks': 'src/kms/local/local-keks.ts',
  postgres: 'src/store/postgres.ts',
  'testing/index': 'src/testing/index.ts',
};

// Left to itself the bundler puts its helpers for CommonJS into the testing entry, which all others would then load.
const codeSplitting = { groups: [{ name: 'runtime', test: /rolldown[/\\]runtime/ }] };

export default defineConfig({
  // The `fieldseal` command imports the user's configuration, a module: there is no CommonJS build of it.
  entry: { ...LIBRARY, 'cli/main': 'src/cli/main.ts' },
  format: {
    esm: {},
    // Optional peers by `require`: test runners such as Jest let CommonJS code import nothing.
    cjs: { entry: LIBRARY, outputOptions: { codeSplitting, dynamicImportInCjs: false } },
  },
  outputOptions: { codeSplitting },
  dts: true,
  platform: 'node',
  target: 'node20.19',
  clean: true,
  sourcemap: false,
});
