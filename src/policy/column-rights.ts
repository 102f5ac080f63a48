/** Which rights on which columns of an encrypted table a tier needs. */
import type { EncryptedField, EncryptedTable } from '../keys/encrypted-table.js';
import type { DatabaseRoles, Purpose } from './settings.js';

export type DatabaseTier = Exclude<keyof DatabaseRoles, 'keyService'>;

/** What a tier may do with the columns of a field, besides inserting. */
interface FieldRights {
  /** Whether it can seal values of the purpose, and so insert rows. */
  readonly seals: (purpose: Purpose) => boolean;
  readonly reads: (field: EncryptedField, purpose: Purpose) => readonly (string | undefined)[];
  readonly updates: (field: EncryptedField, purpose: Purpose) => readonly (string | undefined)[];
  /** Whether it may change plain columns of rows that are there. */
  readonly updatesPlain: boolean;
  readonly deletes: boolean;
}

const RIGHTS: Readonly<Record<DatabaseTier, FieldRights>> = {
  // Nobody else writes or reads these tables.
  app: {
    seals: () => true,
    reads: columnsOf,
    updates: columnsOf,
    updatesPlain: true,
    deletes: true,
  },
  // Index and mask together tell a card number to whoever may ask for indexes: of the two, the mask, which is shown.
  web: {
    seals: ({ delivery }) => delivery !== 'pool',
    reads: ({ index, mask }, purpose) => [
      mask ?? (purpose.index === 'kms' && purpose.delivery !== 'pool' ? index : undefined),
    ],
    updates: () => [],
    updatesPlain: false,
    deletes: false,
  },
  payment: {
    seals: ({ delivery }) => delivery === 'pool',
    reads: ({ cell, key, index, mask }, purpose) => [
      cell,
      key,
      makesIndex(purpose) ? index : undefined,
      mask,
    ],
    updates: (field, purpose) => {
      if (purpose.delivery === 'pool') return columnsOf(field);
      return [purpose.index === 'later' ? field.index : undefined];
    },
    updatesPlain: true,
    deletes: false,
  },
};

function columnsOf({ cell, key, index, mask }: EncryptedField): readonly (string | undefined)[] {
  return [cell, key, index, mask];
}

/** Whether the payment tier can search by the index: with a key of the key store, or by asking the KMS. */
function makesIndex({ index, delivery }: Purpose): boolean {
  return index === 'local' || index === 'later' || (index === 'kms' && delivery === 'pool');
}

export interface ColumnRights {
  readonly insert: boolean;
  readonly delete: boolean;
  readonly select: readonly string[];
  readonly update: readonly string[];
}

/** @param purposeOf The purpose of a field. */
export function columnRights(
  tier: DatabaseTier,
  table: EncryptedTable,
  purposeOf: (field: EncryptedField) => Purpose,
): ColumnRights {
  const { seals, reads, updates, updatesPlain, deletes } = RIGHTS[tier];
  const of = (columns: typeof reads): readonly string[] =>
    table.fields.flatMap((field) => columns(field, purposeOf(field))).filter((name) => name !== undefined);
  const changeable = updatesPlain ? table.plain.filter((name) => !table.primary.includes(name)) : [];
  return {
    // An INSERT of TypeORM names every column, those that stay NULL too.
    insert: table.fields.every((field) => seals(purposeOf(field))),
    delete: deletes,
    select: [...table.plain, ...of(reads)],
    update: [...changeable, ...of(updates)],
  };
}
