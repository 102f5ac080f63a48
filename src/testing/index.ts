/** Helpers for those who test with fieldseal, or write adapters for it. */
export { aesSiv } from './aes-siv.js';
export { memoryKeyStore } from '../store/memory.js';
export { startKmsEmulator } from '../kms/emulator/emulator.js';
export type { KmsEmulator, KmsEmulatorOptions } from '../kms/emulator/emulator.js';
export * from './kek-provider-conformance.js';
export * from './key-store-conformance.js';
export * from './orm-conformance.js';
