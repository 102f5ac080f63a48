/** fieldseal: field-level envelope encryption. The public face; ORM adapters, KMS and key store are subpaths. */
export { createFieldSeal } from './keys/create-field-seal.js';
export type { FieldSeal, FieldSealOptions, FieldSealStats } from './keys/create-field-seal.js';
export type { FieldSealEvent } from './keys/events.js';
export type { Duration, Policy, PurposeOptions } from './keys/policy.js';
export type * from './keys/ports.js';
export type { KeyState } from './keys/states.js';
export { keyStoreSource } from './service/key-store-source.js';
export type { KeyStoreSourceOptions } from './service/key-store-source.js';
export { kmsSource } from './service/kms-source.js';
export type { KmsSourceOptions } from './service/kms-source.js';
export { publicKeySource } from './service/public-key-source.js';
export type { PublicKeySourceOptions } from './service/public-key-source.js';
export type { PublishingKeySource } from './service/public-key-listing.js';
export type { Suite } from './cell/suites.js';
export type { CodecName } from './cell/codecs.js';
export * from './errors.js';
