/** The real typeorm-transactional, over the TypeORM of the project that runs the test. */
import { createRequire } from 'node:module';
import type * as Library from 'typeorm-transactional';
import { inject } from 'vitest';
import type {} from './limits.js';

/** The library asks for the package `typeorm`, which is the newest one here: another one is put in its place first. */
export function loadTypeormTransactional(): typeof Library {
  const require = createRequire(import.meta.url);
  const typeorm = inject('typeorm');
  if (typeorm !== '1.1.1') {
    const own = require.resolve(`typeorm-${typeorm}`);
    require(own);
    require.cache[require.resolve('typeorm')] = require.cache[own];
  }
  return require('typeorm-transactional') as typeof Library;
}
