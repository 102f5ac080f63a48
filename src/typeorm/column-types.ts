/**
 * Types of the physical columns in each family of databases. One class may be mapped by DataSources of several kinds, and
 * TypeORM keeps one set of column options per class; so `type` and `length` of the options are getters that answer for
 * the DataSource whose metadata is being built.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { ColumnOptions, ColumnType, DataSource } from 'typeorm';
import { ConfigError } from '../errors.js';

export type Family = 'postgres' | 'mysql' | 'sqlite';

interface PhysicalType {
  readonly type: ColumnType;
  readonly length?: number;
}
type PhysicalTypes = Readonly<Record<'cell' | 'fingerprint' | 'index' | 'mask', PhysicalType>>;

const BINARY_16: PhysicalType = { type: 'binary', length: 16 };
const BLOB: PhysicalType = { type: 'blob' };
const MASK: PhysicalType = { type: 'varchar', length: 32 };

const TYPES: Readonly<Record<Family, PhysicalTypes>> = {
  postgres: {
    cell: { type: 'bytea' },
    fingerprint: { type: 'uuid' },
    index: { type: 'bytea' },
    mask: MASK,
  },
  // Outside its strict mode a MySQL server cuts bytes off that its column does not hold, and only warns. A longblob
  // holds 4 GiB, more than any statement carries.
  mysql: { cell: { type: 'longblob' }, fingerprint: BINARY_16, index: BINARY_16, mask: MASK },
  sqlite: { cell: BLOB, fingerprint: BLOB, index: BLOB, mask: MASK },
};

const FAMILIES: ReadonlyMap<string, Family> = new Map<string, Family>([
  ['postgres', 'postgres'],
  ['cockroachdb', 'postgres'],
  ['mysql', 'mysql'],
  ['mariadb', 'mysql'],
  ['sqlite', 'sqlite'],
  ['better-sqlite3', 'sqlite'],
  ['sqljs', 'sqlite'],
]);

/** @throws ConfigError `ERR_CONFIG_ORM` for a database whose columns are not known here. */
export function familyOf({ options: { type } }: DataSource): Family {
  const family = FAMILIES.get(type);
  if (family) return family;
  throw new ConfigError(
    'ERR_CONFIG_ORM',
    `Fields cannot be encrypted in a database of type ${type}. Supported types are ${[...FAMILIES.keys()].join(', ')}.`,
  );
}

/** Column options with the type that this part of a field has in the database. PostgreSQL's where nobody attached. */
export function physical(
  part: keyof PhysicalTypes,
  options: Omit<ColumnOptions, 'type' | 'length'>,
): ColumnOptions {
  const current = (): PhysicalType => (building().types.getStore() ?? TYPES.postgres)[part];
  return Object.defineProperties(options, {
    type: { enumerable: true, get: () => current().type },
    length: { enumerable: true, get: () => current().length },
  });
}

/**
 * Runs what builds the metadata of a DataSource; safe beside another one that builds its own. On Node 20 a storage
 * that was used makes every promise of the process slower until it is disabled, by 20 to 30 µs in a plain look-up.
 */
export async function withTypesOf<T>(dataSource: DataSource, build: () => Promise<T>): Promise<T> {
  const current = building();
  current.running += 1;
  try {
    return await current.types.run(TYPES[familyOf(dataSource)], build);
  } finally {
    current.running -= 1;
    if (current.running === 0) current.types.disable();
  }
}

/** A DataSource that built its metadata before anybody could say what it is has PostgreSQL's types. */
export function refuseLateAttach(dataSource: DataSource): void {
  if (!dataSource.isInitialized || familyOf(dataSource) === 'postgres') return;
  throw new ConfigError(
    'ERR_CONFIG_ORM',
    `This DataSource of type ${dataSource.options.type} is initialized already, so the types of its encrypted columns ` +
      'are settled. Call attachFieldSeal before initialize().',
  );
}

// Shared, since decorator and DataSource may come from two copies of the package.
const registry = Symbol.for('fieldseal/column-types');

interface Building {
  readonly types: AsyncLocalStorage<PhysicalTypes>;
  /** Builds that are on their way. */
  running: number;
}

function building(): Building {
  const shared = globalThis as { [registry]?: Building | undefined };
  return (shared[registry] ??= { types: new AsyncLocalStorage<PhysicalTypes>(), running: 0 });
}
