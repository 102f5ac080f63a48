/** The columns of one encrypted field, cell and siblings, as column options of TypeORM. */
import type { ColumnOptions } from 'typeorm';
import { physical } from './column-types.js';
import type { Declaration } from './declaration.js';
import { MaskMark } from './mask-column.js';

/** Property (and by default column) names of the siblings of a field. */
export const keyProperty = (property: string): string => `${property}_key`;
export const indexProperty = (property: string): string => `${property}_bidx`;

/** The mask is read like any property, so its name is one that a class would give it. */
export const maskProperty = (property: string): string => `${property}Mask`;

export interface ColumnOfField {
  readonly property: string;
  readonly options: ColumnOptions;
  /** Physical and migrated, but never mapped on the entity. */
  readonly isHidden: boolean;
  readonly index: { readonly unique: boolean } | undefined;
}

/** The cell first, then the siblings that the declaration asks for. */
export function columnsOfField(property: string, declaration: Declaration): readonly ColumnOfField[] {
  const { name, keyColumn, nullable, blindIndex, mask } = declaration.options;
  const hidden = { nullable, select: false };
  const cell: ColumnOfField = {
    property,
    options: physical('cell', { nullable, transformer: declaration, ...named(name) }),
    isHidden: false,
    index: undefined,
  };
  const key: ColumnOfField = {
    property: keyProperty(property),
    options: physical('fingerprint', { ...hidden, ...named(keyColumn ?? (name && keyProperty(name))) }),
    isHidden: true,
    index: { unique: false },
  };
  const index = blindIndex && {
    property: indexProperty(property),
    options: physical('index', {
      ...hidden,
      nullable: nullable || blindIndex.later,
      ...named(name && indexProperty(name)),
    }),
    isHidden: true,
    index: { unique: blindIndex.unique },
  };
  const masked = mask && {
    property: maskProperty(property),
    options: physical('mask', {
      nullable,
      update: false,
      transformer: new MaskMark(),
      name: `${name ?? property}_mask`,
    }),
    isHidden: false,
    index: undefined,
  };
  return [cell, key, ...(index ? [index] : []), ...(masked ? [masked] : [])];
}

const named = (name: string | undefined): { readonly name?: string } => (name === undefined ? {} : { name });
