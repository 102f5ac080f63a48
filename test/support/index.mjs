export { startPostgres } from './postgres.mjs';
export { startTestDatabase } from './test-database.mjs';
export { bundleScript, startScript } from './script.mjs';
export { CANARY_TEXTS, formsOf } from './canary.mjs';
