/** What the canary suite does with a data source. */
import { randomInt, randomUUID } from 'node:crypto';
import { finished } from 'node:stream/promises';
import { Equal, In, Not, Or, type DataSource, type EntityManager } from 'typeorm';
import { CONTROL, Leaf, newVault, Note, SEARCHED_VALUES, Vault } from './canary-entities.js';

/** Writes, searches and reads in every way, and once in plain for the control. */
export async function work(dataSource: DataSource): Promise<void> {
  const { manager } = dataSource;
  const vault = await manager.save(newVault());
  await manager.save(Object.assign(vault, { padded: `${vault.padded} changed` }));
  await write(dataSource, vault);
  await search(manager, vault);
  await read(dataSource, vault);
  await dataSource.transaction((inside) => inside.insert(Vault, newVault()));
  await manager.delete(Leaf, { word: vault.leaves[0]!.word });
  await manager.remove(await manager.save(newVault({ leaves: [] })));
  await manager.insert(Note, { id: randomInt(100, 2 ** 31), text: `${CONTROL} ${randomUUID()}` });
}

async function write(dataSource: DataSource, vault: Vault): Promise<void> {
  const { manager } = dataSource;
  const { word, extra, photo, pan } = newVault();
  await manager.insert(Vault, [newVault(), newVault()]);
  await manager.update(Vault, { id: vault.id }, { word, extra, photo });
  await manager.update(Vault, { id: vault.id, word }, { pan });
  await manager.upsert(Vault, newVault({ id: vault.id }), ['id']);
  const insert = () => dataSource.createQueryBuilder().insert().into(Vault);
  await insert()
    .values(newVault({ id: vault.id }))
    .orUpdate(['pan', 'word'], ['id'])
    .execute();
  await insert()
    .values(newVault({ id: vault.id }))
    .orIgnore()
    .execute();
  await insert().values(newVault()).returning('*').execute();
  await manager.preload(Vault, { id: vault.id, word });
}

async function search(
  manager: EntityManager,
  { word, amount, big, born, extra, photo }: Vault,
): Promise<void> {
  const all = { word, amount, big, born, extra: Equal(extra), photo: Equal(photo) };
  await manager.findOneOrFail(Vault, { where: all, relations: { leaves: true } });
  await manager.find(Vault, {
    where: [{ word: Or(Equal(word), In([SEARCHED_VALUES.word])) }, SEARCHED_VALUES],
  });
  await manager.findBy(Vault, { word: Not(SEARCHED_VALUES.word), leaves: { word } });
  await manager.countBy(Vault, SEARCHED_VALUES);
  await manager.existsBy(Vault, { word });
  for (let again = 0; again < 2; again++) await manager.find(Vault, { where: { word }, cache: true });
}

async function read(dataSource: DataSource, { word }: Vault): Promise<void> {
  const builder = () => dataSource.createQueryBuilder(Vault, 'vault').where({ word });
  await builder().leftJoinAndSelect('vault.leaves', 'leaf').take(2).getMany();
  await builder().getRawMany();
  await finished((await builder().stream()).resume());
}
