import { defineConfig } from 'vitest/config';

export default defineConfig({
  // Class fields are assigned, not defined, as TypeORM's own documentation asks for.
  oxc: {
    decorator: { legacy: true, emitDecoratorMetadata: true },
    assumptions: { setPublicClassFields: true },
  },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/global-setup.ts'],
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true', TZ: 'UTC' },
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
