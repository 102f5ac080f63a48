/** A small Nest application: settings, a field seal, two data sources, a service and a controller. */
import 'reflect-metadata';
import {
  Body,
  Controller,
  Injectable,
  Module,
  Post,
  type DynamicModule,
  type INestApplication,
  type ModuleMetadata,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  InjectRepository,
  TypeOrmModule,
  type TypeOrmModuleOptions,
  type TypeOrmOptionsFactory,
} from '@nestjs/typeorm';
import { Repository } from 'typeorm';
import { keyStoreSource, type FieldSeal, type FieldSealOptions } from '../../src/index.js';
import { awsKms } from '../../src/kms/aws.js';
import { FieldSealModule, InjectFieldSeal, withFieldSeal } from '../../src/nestjs/index.js';
import { postgresKeyStore } from '../../src/store/postgres.js';
import { Card, Customer, EveryType } from '../typeorm/entities.js';
import { KEKS, type Shop } from '../typeorm/shop.js';

/** What a real application reads from its environment. */
@Injectable()
export class Settings {
  constructor(
    readonly seal: FieldSealOptions,
    readonly shopUrl: string,
    readonly archiveUrl: string,
  ) {}
}

export function settingsOf(shop: Shop, archiveUrl: string, seal: Partial<FieldSealOptions> = {}): Settings {
  const { kms, keyDatabase } = shop;
  const options: FieldSealOptions = {
    application: 'shop',
    environment: 'test',
    purposes: { 'card-number': { class: 'pan' }, 'personal-data': {} },
    keys: keyStoreSource({
      store: postgresKeyStore({ connectionString: keyDatabase.url }),
      kms: awsKms({
        region: kms.region,
        endpoint: kms.endpoint,
        credentials: kms.credentials(),
        keks: KEKS,
      }),
    }),
    ...seal,
  };
  return new Settings(options, shop.database.url, archiveUrl);
}

@Injectable()
export class Cards {
  constructor(
    @InjectRepository(Card) private readonly repository: Repository<Card>,
    @InjectRepository(EveryType, 'archive') private readonly archive: Repository<EveryType>,
    @InjectFieldSeal() readonly seal: FieldSeal,
  ) {}

  async add(pan: string): Promise<string> {
    const { id } = await this.repository.save(Object.assign(new Card(), { pan }));
    return id;
  }
  find(pan: string): Promise<Card | null> {
    return this.repository.findOneBy({ pan });
  }
  async keep(id: number, text: string): Promise<string | null> {
    await this.archive.save({ id, text });
    return (await this.archive.findOneByOrFail({ id })).text;
  }
}

@Controller('cards')
export class CardsController {
  constructor(private readonly cards: Cards) {}

  @Post()
  async add(@Body() { pan }: { pan: string }): Promise<{ id: string }> {
    return { id: await this.cards.add(pan) };
  }
  /** A POST, since addresses end up in logs. */
  @Post('search')
  find(@Body() { pan }: { pan: string }): Promise<Card | null> {
    return this.cards.find(pan);
  }
}

/** Options by class; the other data source has them from a function. */
@Injectable()
export class ArchiveOptions implements TypeOrmOptionsFactory {
  constructor(private readonly settings: Settings) {}

  createTypeOrmOptions(): TypeOrmModuleOptions {
    return { type: 'postgres', url: this.settings.archiveUrl, autoLoadEntities: true, synchronize: true };
  }
}

@Module({
  imports: [TypeOrmModule.forFeature([Card, Customer]), TypeOrmModule.forFeature([EveryType], 'archive')],
  controllers: [CardsController],
  providers: [Cards],
  exports: [Cards],
})
export class CardsModule {}

@Module({})
class SettingsModule {}

/** Settings as a module of its own, as `@nestjs/config` has them. */
export function settingsModule(settings: Settings): DynamicModule {
  const provider = { provide: Settings, useValue: settings };
  return { module: SettingsModule, providers: [provider], exports: [provider] };
}

export function fieldSealModule(settings: Settings): DynamicModule {
  return FieldSealModule.forRootAsync({
    imports: [settingsModule(settings)],
    inject: [Settings],
    useFactory: ({ seal }: Settings) => seal,
  });
}

/** The two data sources of the shop. */
export function dataSources(settings: Settings): DynamicModule[] {
  const imports = [settingsModule(settings)];
  return [
    TypeOrmModule.forRootAsync(
      withFieldSeal({
        imports,
        inject: [Settings],
        useFactory: ({ shopUrl }: Settings) => ({ type: 'postgres', url: shopUrl, autoLoadEntities: true }),
      }),
    ),
    TypeOrmModule.forRootAsync(withFieldSeal({ imports, name: 'archive', useClass: ArchiveOptions })),
  ];
}

@Module({})
class Root {}

/** Starts an application of these parts; rejects where NestFactory would end the process. */
export async function start(parts: ModuleMetadata): Promise<INestApplication> {
  const app = await NestFactory.create({ module: Root, ...parts }, { logger: false, abortOnError: false });
  return app.init();
}
