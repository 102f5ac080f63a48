export { startPostgres } from './postgres.mjs';
export { findPgbouncer, startPgbouncer } from './pgbouncer.mjs';
export { findMariadb, startMariadb } from './mariadb.mjs';
export { hasTestMariadb, startTestMariadb } from './test-mariadb.mjs';
export { startTestDatabase } from './test-database.mjs';
export { bundleScript, startScript } from './script.mjs';
export { canariesIn, CANARY_TEXTS, formsOf } from './canary.mjs';
