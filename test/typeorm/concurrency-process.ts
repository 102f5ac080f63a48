/** One process of several that write the same rows; what it has committed it says, line by line. */
import { once } from 'node:events';
import { DataSource } from 'typeorm';
import { createFieldSeal, keyStoreSource } from '../../src/index.js';
import { awsKms, type AwsKmsOptions } from '../../src/kms/aws.js';
import { postgresKeyStore } from '../../src/store/postgres.js';
import { attachFieldSeal } from '../../src/typeorm/index.js';
import { Account, ENTITIES } from './concurrency-entities.js';
import { Card, Customer } from './entities.js';

export interface ConcurrencyProcessSetup {
  readonly work: keyof typeof WORK;
  readonly url: string;
  readonly keyUrl: string;
  readonly kms: AwsKmsOptions;
  /** Accounts to write to. */
  readonly accounts: readonly string[];
  /** Writes that have to succeed. */
  readonly writes: number;
}

const WORK = { count, saveForEver };
const setup = JSON.parse(process.argv[2]!) as ConcurrencyProcessSetup;
const { url, keyUrl, kms } = setup;
const type = url.startsWith('mysql:') ? 'mariadb' : 'postgres';

const seal = await createFieldSeal({
  application: 'shop',
  environment: 'test',
  purposes: { 'card-number': {}, 'personal-data': {} },
  keys: keyStoreSource({
    store: postgresKeyStore({ connectionString: keyUrl }),
    kms: awsKms(kms),
    manage: false,
  }),
});
const dataSource = new DataSource({ type, url, entities: ENTITIES });
await attachFieldSeal(dataSource, seal).initialize();
console.log('ready');
await once(process.stdin, 'data');
process.stdin.destroy();
await WORK[setup.work]();
await dataSource.destroy();
await seal.close();

/** Optimistic writes: one that finds another version than it has read is done again. */
async function count(): Promise<void> {
  let refused = 0;
  for (let done = 0; done < setup.writes;) {
    const id = setup.accounts[done % setup.accounts.length]!;
    const { version, writes, balance, pan } = await dataSource.manager.findOneByOrFail(Account, { id });
    const next = { writes: writes + 1, balance: balance + 1, pan: `${pan.split('-')[0]!}-${writes + 1}` };
    const { affected } = await dataSource.manager.update(Account, { id, version }, next);
    if (affected === 1) done += 1;
    else refused += 1;
  }
  console.log(`done ${setup.writes} ${refused}`);
}

/** Customers with two cards each, several of them at a time, until somebody ends the process. */
async function saveForEver(): Promise<void> {
  const lane = async (): Promise<void> => {
    for (;;) {
      const customer = Object.assign(new Customer(), { name: `Ada ${Math.random()}`, phone: '+44 20 1815' });
      customer.cards = [newCard(), newCard()];
      await dataSource.manager.save(customer);
      console.log(`saved ${customer.id}`);
    }
  };
  await Promise.all([lane(), lane(), lane(), lane()]);
}

function newCard(): Card {
  return Object.assign(new Card(), { pan: String(Math.random()).padEnd(20, '0') });
}
