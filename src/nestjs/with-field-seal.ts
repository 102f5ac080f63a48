/** `withFieldSeal`: DataSources of `@nestjs/typeorm` that are attached before they connect. */
import type { TypeOrmModuleAsyncOptions, TypeOrmModuleOptions, TypeOrmOptionsFactory } from '@nestjs/typeorm';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { ConfigError, isFieldSealError, type FieldSeal } from '../index.js';
import { attachFieldSeal, type AttachOptions } from '../typeorm/index.js';
import { FIELD_SEAL } from './token.js';

/**
 * Options for `TypeOrmModule.forRootAsync` whose DataSource seals and opens its `@Encrypted` fields. Nest starts the
 * field seal first, since the DataSource is injected with it; the DataSource is attached before it connects, so that
 * `synchronize`, `migrationsRun` and the first query find it attached, on every database. Call it for each DataSource.
 *
 * An error of fieldseal that no retry can help ends the start at once; Nest would repeat it as a failed connection.
 *
 * @param options As `TypeOrmModule.forRootAsync` takes them; a `dataSourceFactory` of yours makes the DataSource.
 * @param attach As `attachFieldSeal` takes them.
 * @throws ConfigError `ERR_CONFIG_OPTION` without `useFactory`, `useClass` and `useExisting`. Out of the start of the
 *   application comes the same where these give no options, and what `attachFieldSeal` and `initialize()` throw.
 * @example
 * TypeOrmModule.forRootAsync(
 *   withFieldSeal({ useFactory: () => ({ type: 'postgres', url, autoLoadEntities: true }) }),
 * )
 */
export function withFieldSeal(
  options: TypeOrmModuleAsyncOptions,
  attach: AttachOptions = {},
): TypeOrmModuleAsyncOptions {
  const { inject, make } = optionsMaker(options);
  const { useClass, extraProviders = [], dataSourceFactory } = options;
  return {
    // Of several ways to make the options TypeOrmModule takes useFactory, and then does not provide useClass.
    ...options,
    ...(useClass && { extraProviders: [...extraProviders, useClass] }),
    inject: [FIELD_SEAL, ...inject],
    useFactory: async (seal: FieldSeal, ...injected: unknown[]) => {
      const made = await make(...injected);
      if (Object(made) !== made) throw noOptions();
      return { ...made, toRetry: onlyIfItHelps(made.toRetry), [carried]: seal };
    },
    dataSourceFactory: async (given) => {
      const { [carried]: seal, ...own } = given as CarryingOptions;
      const dataSource = dataSourceFactory ? await dataSourceFactory(own) : new DataSource(own);
      return attachFieldSeal(dataSource, seal, attach);
    },
  };
}

/**
 * Carries the field seal from the options, which are made with injection, to the factory, which is called without. A
 * variable would be shared by all applications that are made of one module class.
 */
const carried = Symbol('fieldseal');

type CarryingOptions = DataSourceOptions & { readonly [carried]: FieldSeal };

interface OptionsMaker {
  readonly inject: readonly unknown[];
  readonly make: NonNullable<TypeOrmModuleAsyncOptions['useFactory']>;
}

/** The three ways of `@nestjs/typeorm` as one. */
function optionsMaker(options: TypeOrmModuleAsyncOptions): OptionsMaker {
  // What callers pass is not always what the types say.
  const { name, inject = [], useFactory, useClass, useExisting } = Object(options) as typeof options;
  if (useFactory) return { inject, make: useFactory };
  const factory = useClass ?? useExisting;
  if (factory) {
    return { inject: [factory], make: (made: TypeOrmOptionsFactory) => made.createTypeOrmOptions(name) };
  }
  throw new ConfigError(
    'ERR_CONFIG_OPTION',
    'withFieldSeal: expected useFactory, useClass or useExisting, as TypeOrmModule.forRootAsync takes them, got none of them.',
  );
}

function noOptions(): ConfigError {
  return new ConfigError(
    'ERR_CONFIG_OPTION',
    'withFieldSeal: expected useFactory or createTypeOrmOptions to give the options of a DataSource, got none.',
  );
}

type ToRetry = NonNullable<TypeOrmModuleOptions['toRetry']>;

function onlyIfItHelps(toRetry: ToRetry = () => true): ToRetry {
  return (error: unknown) => (!isFieldSealError(error) || error.retryable) && toRetry(error);
}
