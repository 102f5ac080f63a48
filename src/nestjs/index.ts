/** fieldseal for NestJS with `@nestjs/typeorm`. */
export { FieldSealModule } from './field-seal-module.js';
export type { FieldSealAsyncOptions } from './field-seal-module.js';
export { FIELD_SEAL, InjectFieldSeal } from './token.js';
export { withFieldSeal } from './with-field-seal.js';
