import { createFieldSeal, type FieldSeal, type FieldSealOptions } from 'fieldseal';
import { APPLICATION, ENVIRONMENT } from './purposes.js';

export type SealSettings = Pick<FieldSealOptions, 'access' | 'purposes' | 'keys' | 'onEvent'>;

/** The field seal of one tier, under the two names that all tiers share. */
export function shopFieldSeal(settings: SealSettings): Promise<FieldSeal> {
  return createFieldSeal({ application: APPLICATION, environment: ENVIRONMENT, ...settings });
}
