/** Tables with encrypted fields as a plain list, for tools that know no ORM; an ORM folder makes it. */

/** One encrypted field; names of columns. */
export interface EncryptedField {
  /** Entity and property, for messages. */
  readonly label: string;
  readonly purpose: string;
  readonly cell: string;
  readonly key: string;
  readonly index: string | undefined;
  readonly mask: string | undefined;
}

/** A table with at least one encrypted field. */
export interface EncryptedTable {
  /** Undefined where the search path decides. */
  readonly schema: string | undefined;
  readonly name: string;
  readonly fields: readonly EncryptedField[];
  /** Columns that belong to no field, those of the primary key included. */
  readonly plain: readonly string[];
  readonly primary: readonly string[];
  /** Columns whose values a sequence makes. */
  readonly numbered: readonly string[];
}
