/** The ways in which the web tier stores a card: one data source each, over the same PostgreSQL and KMS. */
import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { Column, DataSource, Entity, PrimaryColumn } from 'typeorm';
import {
  createFieldSeal,
  keyStoreSource,
  kmsSource,
  type FieldSeal,
  type PurposeOptions,
} from '../../src/index.js';
import { awsKms, type AwsKmsOptions } from '../../src/kms/aws.js';
import { postgresKeyStore } from '../../src/store/postgres.js';
import { attachFieldSeal, Encrypted } from '../../src/typeorm/index.js';

const PURPOSE = 'card-number';
export const REUSE = { cells: 1_000, for: '5m' } as const;

@Entity('sealed_cards')
class SealedCard {
  @PrimaryColumn('uuid') id: string = randomUUID();
  @Column('text') customer!: string;
  @Encrypted({ purpose: PURPOSE, bind: ['id'] }) pan!: string;
}

/** The same physical columns and index, filled with as many bytes as a cell of pool delivery has. */
@Entity('plain_cards')
class PlainCard {
  @PrimaryColumn('uuid') id: string = randomUUID();
  @Column('text') customer!: string;
  @Column('bytea') pan!: Buffer;
  @Column('uuid') pan_key!: string;
}

export interface Place {
  readonly url: string;
  readonly keyStoreUrl: string;
  readonly kms: AwsKmsOptions;
}

/** Stores one card. */
export type Store = (pan: string) => Promise<unknown>;

export interface OpenWay {
  readonly store: Store;
  close(): Promise<void>;
}

const CELL_BYTES = 66;

export const WAYS: Readonly<Record<string, (place: Place) => Promise<OpenWay>>> = {
  plain: async ({ url }) => {
    const dataSource = await new DataSource({ type: 'postgres', url, entities: [PlainCard] }).initialize();
    await dataSource.synchronize();
    return {
      store: (pan) =>
        dataSource.manager.insert(PlainCard, {
          ...{ id: randomUUID(), customer: 'c-1', pan_key: randomUUID() },
          pan: Buffer.alloc(CELL_BYTES, pan),
        }),
      close: () => dataSource.destroy(),
    };
  },
  pool: (place) => sealed(place, { delivery: 'pool' }),
  sealed: (place) => sealed(place, { delivery: 'sealed' }),
  sealedReuse: (place) => sealed(place, { delivery: { sealed: { reuse: REUSE } } }),
  envelope: (place) => sealed(place, { delivery: 'envelope' }),
  envelopeReuse: (place) => sealed(place, { delivery: { envelope: { reuse: REUSE } } }),
};

async function sealed(place: Place, purpose: PurposeOptions): Promise<OpenWay> {
  const seal = await sealOf(place, purpose);
  const source = new DataSource({ type: 'postgres', url: place.url, entities: [SealedCard] });
  const dataSource = await attachFieldSeal(source, seal).initialize();
  await dataSource.synchronize();
  return {
    store: (pan) => dataSource.manager.insert(SealedCard, { id: randomUUID(), customer: 'c-1', pan }),
    close: async () => {
      await dataSource.destroy();
      await seal.close();
    },
  };
}

function sealOf({ keyStoreUrl, kms }: Place, purpose: PurposeOptions): Promise<FieldSeal> {
  const common = { application: 'bench', environment: 'production', purposes: { [PURPOSE]: purpose } };
  if (hasKeyStore(purpose)) {
    const store = postgresKeyStore({ connectionString: keyStoreUrl });
    return createFieldSeal({ ...common, keys: keyStoreSource({ store, kms: awsKms(kms) }) });
  }
  const keys = kmsSource({ kms: awsKms(kms) });
  // The emulator's one principal may do everything.
  return createFieldSeal({ ...common, access: 'write-only', privilegeCheck: 'off', keys });
}

/** Envelope cells bring their keys along. Sealed cells need pairs, which a web tier gets as a list; here it asks for them. */
const hasKeyStore = ({ delivery }: PurposeOptions): boolean =>
  delivery === 'pool' || delivery === 'sealed' || (typeof delivery === 'object' && 'sealed' in delivery);
