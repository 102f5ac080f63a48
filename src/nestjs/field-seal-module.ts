/** `FieldSealModule`: one field seal for a Nest application, from its start to its shutdown. */
import { types } from 'node:util';
import {
  Inject,
  Module,
  type DynamicModule,
  type FactoryProvider,
  type ModuleMetadata,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { InstanceChecker, type DataSource } from 'typeorm';
import { ConfigError, createFieldSeal, type FieldSeal, type FieldSealOptions } from '../index.js';
import { sealOf } from '../typeorm/attach.js';
import { hasEncryptedFields } from '../typeorm/encrypted-column.js';
import { FIELD_SEAL } from './token.js';

/** How long DataSources are waited for at shutdown before the field seal is closed nevertheless, ms. */
const DESTROY_LIMIT_MS = 5_000;

export interface FieldSealAsyncOptions extends Pick<ModuleMetadata, 'imports'> {
  /** What `useFactory` is called with. */
  readonly inject?: FactoryProvider['inject'];
  /** Options of `createFieldSeal`. Called once. */
  readonly useFactory: (...injected: never[]) => FieldSealOptions | Promise<FieldSealOptions>;
}

/**
 * Makes the field seal of a Nest application and offers it for injection in every module (`@InjectFieldSeal()`).
 * DataSources are attached to it with `withFieldSeal`; one that has encrypted fields and is not attached stops the
 * start. At shutdown the attached DataSources are destroyed, then the field seal is closed.
 */
@Module({})
export class FieldSealModule implements OnModuleInit, OnApplicationShutdown {
  readonly #seal: FieldSeal;
  readonly #modules: ModulesContainer;

  constructor(@Inject(FIELD_SEAL) seal: FieldSeal, @Inject(ModulesContainer) modules: ModulesContainer) {
    this.#seal = seal;
    this.#modules = modules;
  }

  /**
   * The module, for the imports of the application's root module, once.
   *
   * @throws Out of the start of the application: what `createFieldSeal` throws; ConfigError `ERR_CONFIG_ORM` for a
   *   DataSource that has encrypted fields and is not attached, and for a second FieldSealModule.
   */
  static forRootAsync(options: FieldSealAsyncOptions): DynamicModule {
    const { imports = [], inject = [], useFactory } = checked(options);
    return {
      module: FieldSealModule,
      global: true,
      imports,
      providers: [
        {
          provide: FIELD_SEAL,
          inject,
          useFactory: async (...injected: never[]) => createFieldSeal(await useFactory(...injected)),
        },
      ],
      exports: [FIELD_SEAL],
    };
  }

  /** Runs before the hooks of the application's own modules, since the module is global. */
  onModuleInit(): void {
    this.#refuseSecondModule();
    for (const dataSource of this.#dataSources()) refuseUnattached(dataSource);
  }

  /** Nest ends the modules in an order that depends on their imports, so this does not wait for TypeOrmModule. */
  async onApplicationShutdown(): Promise<void> {
    const open = this.#dataSources().filter(
      (dataSource) => dataSource.isInitialized && sealOf(dataSource) === this.#seal,
    );
    const destroyed = Promise.all(open.map((dataSource) => dataSource.destroy()));
    try {
      // A frozen database lets no DataSource go, and keys must not stay in memory for it.
      await Promise.race([destroyed, afterMs(DESTROY_LIMIT_MS)]);
    } finally {
      await this.#seal.close();
    }
    await destroyed;
  }

  #refuseSecondModule(): void {
    const seals = [...this.#modules.values()].filter(({ providers }) => providers.has(FIELD_SEAL));
    if (seals.length === 1) return;
    throw new ConfigError(
      'ERR_CONFIG_ORM',
      `Expected one FieldSealModule.forRootAsync() in the application, got ${seals.length}: which field seal a ` +
        'DataSource gets would be left to chance. Put all purposes into one.',
    );
  }

  /** Every DataSource that the application can inject. */
  #dataSources(): readonly DataSource[] {
    const instances = [...this.#modules.values()].flatMap(({ providers }) =>
      [...providers.values()].map(({ instance }): unknown => instance),
    );
    return [...new Set(instances.filter(isDataSource))];
  }
}

/** @throws ConfigError `ERR_CONFIG_OPTION`. */
function checked(options: unknown): FieldSealAsyncOptions {
  const { useFactory } = Object(options) as { readonly useFactory?: unknown };
  if (typeof useFactory === 'function') return options as FieldSealAsyncOptions;
  throw new ConfigError(
    'ERR_CONFIG_OPTION',
    `FieldSealModule.forRootAsync: expected useFactory, a function that gives the options of createFieldSeal, got ${typeof useFactory}.`,
  );
}

/** A proxy stands for something else in each request, and may throw where it is asked outside of one, as nestjs-cls has it. */
const isDataSource = (instance: unknown): instance is DataSource =>
  !types.isProxy(instance) && InstanceChecker.isDataSource(instance);

function afterMs(limitMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, limitMs).unref());
}

function refuseUnattached(dataSource: DataSource): void {
  if (sealOf(dataSource) !== undefined || !hasEncryptedFields(dataSource)) return;
  const { name = 'default' } = dataSource.options as { readonly name?: string };
  throw new ConfigError(
    'ERR_CONFIG_ORM',
    `The DataSource '${name}' has encrypted fields and is not attached. ` +
      'Register it with TypeOrmModule.forRootAsync(withFieldSeal({ … })).',
  );
}
