/** A Nest application on real PostgreSQL and the KMS emulator, used over HTTP. */
import type { DynamicModule, INestApplication } from '@nestjs/common';
import { getDataSourceToken } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FieldSeal } from '../../src/index.js';
import { FIELD_SEAL } from '../../src/nestjs/index.js';
import { freshDatabase, type FreshDatabase } from '../database.js';
import { Card, Customer, EveryType } from '../typeorm/entities.js';
import { isCellHiding, openShop, type Shop } from '../typeorm/shop.js';
import { Cards, CardsModule, dataSources, fieldSealModule, settingsOf, start } from './app.js';

const PAN = '4929123456789015';

let shop: Shop;
let archive: FreshDatabase;
beforeAll(async () => {
  [shop, archive] = await Promise.all([openShop({ entities: [Card, Customer, EveryType] }), freshDatabase()]);
});
afterAll(() => Promise.all([shop.close(), archive.drop()]));

describe('a Nest application', () => {
  let app: INestApplication;
  let url: string;
  beforeAll(async () => {
    const settings = settingsOf(shop, archive.url);
    app = await start({ imports: [fieldSealModule(settings), ...dataSources(settings), CardsModule] });
    await app.listen(0, '127.0.0.1');
    url = await app.getUrl();
  });
  afterAll(() => app.close());

  it('saves, finds and shows an encrypted field over HTTP; the table holds a cell', async () => {
    const added = await post(`${url}/cards`, { pan: PAN });
    const { id } = (await added.json()) as { id: string };
    expect(added.status).toBe(201);
    expect(isCellHiding((await shop.raw('cards', id)).pan, PAN)).toBe(true);

    const found = (await (await post(`${url}/cards/search`, { pan: PAN })).json()) as Card;
    expect(found).toMatchObject({ id, note: null });
    expect(found.pan === PAN).toBe(true);
  });

  it('has a second data source with a database of its own, made by `synchronize`', async () => {
    expect(await app.get(Cards).keep(1, 'canary-7f3a9c51')).toBe('canary-7f3a9c51');
    const [row] = await archive.query('SELECT text, text_key FROM every_type');
    expect(isCellHiding(row!.text, 'canary-7f3a9c51')).toBe(true);
    expect(row!.text_key).toMatch(/^[0-9a-f-]{36}$/u);
  });

  it('injects the field seal into services', async () => {
    const { seal } = app.get(Cards);
    expect(seal).toBe(app.get<FieldSeal>(FIELD_SEAL));
    const cell = seal.seal('personal-data', 'letters.text', 'Dear Ann');
    expect(await seal.open('personal-data', 'letters.text', cell)).toBe('Dear Ann');
  });
});

describe('at shutdown', () => {
  // Nest ends global modules in an order that follows from how deep they are imported.
  const places = [
    ['beside them', (seal: DynamicModule) => seal],
    ['deeper', (seal: DynamicModule) => moduleOf(moduleOf(moduleOf(seal)))],
  ] as const;

  it.each(places)('destroys the data sources, then closes the field seal, imported %s', async (_, place) => {
    const settings = settingsOf(shop, archive.url);
    const app = await start({
      imports: [place(fieldSealModule(settings)), ...dataSources(settings), CardsModule],
    });
    const seal = app.get<FieldSeal>(FIELD_SEAL);
    const sources = ['default', 'archive'].map((name) => app.get<DataSource>(getDataSourceToken(name)));
    const steps: string[] = [];
    for (const dataSource of sources) record(steps, dataSource, 'destroy');
    record(steps, seal, 'close');

    await app.close();
    expect(steps.slice(-2)).toEqual(['close', 'closed']);
    expect(steps.slice(0, -2).sort()).toEqual(['destroy', 'destroy', 'destroyed', 'destroyed']);
    expect(sources.map(({ isInitialized }) => isInitialized)).toEqual([false, false]);
    expect(() => seal.seal('personal-data', 'letters.text', 'Dear Ann')).toThrow(
      expect.objectContaining({ code: 'ERR_CLOSED' }),
    );
  });

  it('lets services write until then', async () => {
    const settings = settingsOf(shop, archive.url);
    let added: string | undefined;
    const lastWords = {
      provide: 'last words',
      inject: [Cards],
      useFactory: (cards: Cards) => ({
        beforeApplicationShutdown: async () => {
          added = await cards.add('5555555555554444');
        },
      }),
    };
    const app = await start({
      imports: [fieldSealModule(settings), ...dataSources(settings), CardsModule],
      providers: [lastWords],
    });
    await app.close();
    expect(isCellHiding((await shop.raw('cards', added!)).pan, '5555555555554444')).toBe(true);
  });
});

function post(url: string, body: unknown): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
}

function moduleOf(imported: DynamicModule): DynamicModule {
  return { module: class Around {}, imports: [imported] };
}

/** Notes begin and end of a method that runs as it is. */
function record<Name extends string>(
  steps: string[],
  target: Record<Name, () => Promise<void>>,
  name: Name,
): void {
  const method = target[name].bind(target);
  target[name] = async () => {
    steps.push(name);
    await method();
    steps.push(`${name}${name === 'close' ? 'd' : 'ed'}`);
  };
}
