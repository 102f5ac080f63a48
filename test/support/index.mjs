export { startPostgres } from './postgres.mjs';
export { startTestDatabase } from './test-database.mjs';
export { bundleScript, startScript } from './script.mjs';
