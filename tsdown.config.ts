import { defineConfig } from 'tsdown';

/** One entry per subpath of `exports`, and the `fieldseal` command. */
export default defineConfig({
  entry: {
    index: 'src/index.ts',
    'typeorm/index': 'src/typeorm/index.ts',
    'nestjs/index': 'src/nestjs/index.ts',
    'aws-kms': 'src/kms/aws.ts',
    'local-keks': 'src/kms/local/local-keks.ts',
    postgres: 'src/store/postgres.ts',
    'testing/index': 'src/testing/index.ts',
    'cli/main': 'src/cli/main.ts',
  },
  format: ['esm', 'cjs'],
  dts: true,
  platform: 'node',
  target: 'node20.19',
  clean: true,
  sourcemap: false,
  // Left to itself the bundler puts its helpers for CommonJS into the testing entry, which all others would then load.
  outputOptions: { codeSplitting: { groups: [{ name: 'runtime', test: /rolldown[/\\]runtime/ }] } },
});
