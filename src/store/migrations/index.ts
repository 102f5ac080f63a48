/** All steps, in order. */
import { keyStore } from './0001-key-store.js';
import type { Migration } from './migration.js';

export const MIGRATIONS: readonly Migration[] = [keyStore];

/** The version that this package needs. */
export const LATEST_VERSION = MIGRATIONS.length;
