/** fieldseal for TypeORM. */
export { attachFieldSeal } from './attach.js';
export type { AttachOptions } from './attach.js';
export type { BlindIndexOptions, EncryptedOptions, PreviousOptions } from './declaration.js';
export { Encrypted } from './decorator.js';
export { encryptedColumns } from './entity-schema.js';
export { openRaw } from './open-raw.js';
export type { OnUnopenable } from './opener.js';
export type { OpenRawOptions, RawMapping } from './open-raw.js';
export { isSealed, Sealed } from './sealed.js';
