/** fieldseal for TypeORM. */
export { fillBlindIndexes } from './fill-blind-indexes.js';
export type { FilledIndexes, FillOptions } from './fill-blind-indexes.js';
export { attachFieldSeal } from './attach.js';
export type { AttachOptions } from './attach.js';
export type { BlindIndexOptions, EncryptedOptions, PreviousOptions } from './declaration.js';
export { Encrypted } from './decorator.js';
export { encryptedColumns } from './entity-schema.js';
export { openRaw } from './open-raw.js';
export type { OnUnopenable } from './opener.js';
export type { OpenRawOptions, RawMapping } from './open-raw.js';
export { isSealed, Sealed } from './sealed.js';
