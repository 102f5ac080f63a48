/** How the field seal of an application is asked for. */
import { Inject } from '@nestjs/common';

/**
 * Injection token of the application's `FieldSeal`, for `inject` of factories and for `overrideProvider` in tests.
 * Registered, so that an ESM and a CommonJS copy of the package agree on it.
 */
export const FIELD_SEAL = Symbol.for('fieldseal/nestjs FIELD_SEAL of FieldSealModule.forRootAsync()');

/**
 * Injects the application's `FieldSeal`, in any module.
 * @example
 * constructor(@InjectFieldSeal() private readonly seal: FieldSeal) {}
 */
export const InjectFieldSeal = (): ReturnType<typeof Inject> => Inject(FIELD_SEAL);
