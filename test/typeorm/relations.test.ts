/** Behaviour row 6: trees, lazy relations, mapped joins. */
import 'reflect-metadata';
import {
  Column,
  Entity,
  ManyToMany,
  JoinTable,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  Tree,
  TreeChildren,
  TreeParent,
  type Relation,
} from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Encrypted } from '../../src/typeorm/index.js';
import { isCellHiding, openShop, type Shop } from './shop.js';

@Entity('departments')
@Tree('closure-table')
class Department {
  @PrimaryColumn('int') id!: number;
  @Encrypted({ purpose: 'personal-data', blindIndex: true }) head!: string;
  @TreeChildren({ cascade: true }) children!: Department[];
  @TreeParent() parent!: Department | null;
}

@Entity('folders')
@Tree('materialized-path')
class Folder {
  @PrimaryColumn('int') id!: number;
  @Encrypted({ purpose: 'personal-data', bind: ['id'] }) title!: string;
  @TreeChildren() children!: Folder[];
  @TreeParent() parent!: Folder | null;
}

@Entity('sections')
@Tree('nested-set')
class Section {
  @PrimaryColumn('int') id!: number;
  @Encrypted({ purpose: 'personal-data' }) title!: string;
  @TreeChildren() children!: Section[];
  @TreeParent() parent!: Section | null;
}

@Entity('authors')
class Author {
  @PrimaryColumn('int') id!: number;
  @Encrypted({ purpose: 'personal-data', blindIndex: true }) name!: string;
  @OneToMany(() => Book, (book) => book.author) books!: Promise<Book[]>;
}

@Entity('books')
class Book {
  @PrimaryColumn('int') id!: number;
  @Encrypted({ purpose: 'personal-data', blindIndex: true, bind: ['id'] }) title!: string;
  @Column('text') shelf!: string;
  @ManyToOne(() => Author, (author) => author.books, { lazy: true }) author!: Promise<Author>;
  @ManyToMany(() => Author, { lazy: true }) @JoinTable() readers!: Promise<Relation<Author>[]>;
}

let shop: Shop;
beforeAll(async () => {
  shop = await openShop({ entities: [Department, Folder, Section, Author, Book] });
});
afterAll(() => shop.close());

const manager = () => shop.dataSource.manager;

describe('6 trees', () => {
  it.each([
    [Department, 'head'],
    [Folder, 'title'],
    [Section, 'title'],
  ] as const)('%o seal and open what their repository finds', async (Node, property) => {
    type Any = Department & Folder & Section;
    const repository = manager().getTreeRepository<Any>(Node);
    const root = repository.create({ id: 1, [property]: 'root tree-secret' });
    await repository.save(root);
    const child = await repository.save(
      repository.create({ id: 2, [property]: 'child tree-secret', parent: root }),
    );
    await repository.save(repository.create({ id: 3, [property]: 'leaf tree-secret', parent: child }));

    const [tree] = await repository.findTrees();
    expect(tree![property]).toBe('root tree-secret');
    expect(tree!.children[0]![property]).toBe('child tree-secret');
    expect(tree!.children[0]!.children[0]![property]).toBe('leaf tree-secret');
    expect((await repository.findRoots()).map((node) => node[property])).toEqual(['root tree-secret']);
    const descendants = await repository.findDescendants(child);
    expect(descendants.map((node) => node[property]).sort()).toEqual([
      'child tree-secret',
      'leaf tree-secret',
    ]);
    const leaf = await repository.findOneByOrFail({ id: 3 });
    const withAncestors = await repository.findAncestorsTree(leaf);
    expect(withAncestors.parent!.parent![property]).toBe('root tree-secret');
    const inTree = repository.createDescendantsQueryBuilder('node', 'closure', root).where({ id: 2 });
    expect((await inTree.getOneOrFail())[property]).toBe('child tree-secret');

    leaf[property] = 'changed tree-secret';
    await repository.save(leaf);
    expect((await repository.findOneByOrFail({ id: 3 }))[property]).toBe('changed tree-secret');
    shop.recorder.clear();
    await repository.save(await repository.findOneByOrFail({ id: 3 }));
    expect(shop.recorder.of('UPDATE')).toEqual([]);
    const table = repository.metadata.tableName;
    expect(isCellHiding((await shop.raw(table, 3))[property], 'changed')).toBe(true);
  });

  it('store the children of one save', async () => {
    const root = manager().create(Department, { id: 10, head: 'cascade tree-secret' });
    root.children = [manager().create(Department, { id: 11, head: 'cascaded tree-secret' })];
    await manager().save(root);
    const found = await manager().findOneOrFail(Department, {
      where: { children: { head: 'cascaded tree-secret' } },
      relations: { children: true },
    });
    expect(found.children.map(({ head }) => head)).toEqual(['cascaded tree-secret']);
  });
});

describe('6 relations', () => {
  beforeAll(async () => {
    const author = await manager().save(manager().create(Author, { id: 1, name: 'Ada join-secret' }));
    for (const id of [1, 2]) {
      const book = manager().create(Book, { id, title: `book ${id} join-secret`, shelf: 'top' });
      book.author = Promise.resolve(author);
      book.readers = Promise.resolve([author]);
      await manager().save(book);
    }
  });

  it('are opened when they are lazy', async () => {
    const book = await manager().findOneByOrFail(Book, { title: 'book 1 join-secret' });
    expect((await book.author).name).toBe('Ada join-secret');
    expect((await book.readers).map(({ name }) => name)).toEqual(['Ada join-secret']);
    const books = await (await book.author).books;
    expect(books.map(({ title }) => title).sort()).toEqual(['book 1 join-secret', 'book 2 join-secret']);
  });

  it('are not changed by a save of what was loaded lazily', async () => {
    const book = await manager().findOneByOrFail(Book, { id: 1 });
    await book.author;
    shop.recorder.clear();
    await manager().save(book);
    expect(shop.recorder.of('UPDATE')).toEqual([]);
    book.title = 'book 1 join-secret again';
    await manager().save(book);
    expect((await manager().findOneByOrFail(Book, { id: 1 })).title).toBe('book 1 join-secret again');
    book.title = 'book 1 join-secret';
    await manager().save(book);
  });

  it('are opened in the properties that joins map them to', async () => {
    const builder = manager().createQueryBuilder(Author, 'author');
    const one = await builder
      .clone()
      .leftJoinAndMapOne('author.first', Book, 'first', 'first.authorId = author.id AND first.id = 1')
      .leftJoinAndMapMany('author.all', Book, 'book', 'book.authorId = author.id')
      .leftJoinAndMapMany('author.byRelation', 'author.books', 'related')
      .getOneOrFail();
    const mapped = one as Author & { first: Book; all: Book[]; byRelation: Book[] };
    const titles = ['book 1 join-secret', 'book 2 join-secret'];
    expect([mapped.name, mapped.first.title]).toEqual(['Ada join-secret', 'book 1 join-secret']);
    expect(mapped.all.map(({ title }) => title).sort()).toEqual(titles);
    expect(mapped.byRelation.map(({ title }) => title).sort()).toEqual(titles);
    const inner = await builder
      .innerJoinAndMapOne('author.first', Book, 'first', 'first.authorId = author.id')
      .where({ name: 'Ada join-secret' })
      .take(1)
      .getOneOrFail();
    expect((inner as Author & { first: Book }).first.title).toMatch(/^book \d join-secret$/u);
  });

  it('refuse a join condition on a cell', async () => {
    const builder = manager()
      .createQueryBuilder(Author, 'author')
      .leftJoinAndMapOne('author.first', Book, 'first', 'first.title = author.name');
    await expect(builder.getMany()).rejects.toMatchObject({ code: 'ERR_QUERY_UNSUPPORTED' });
  });

  it('17 are set and loaded by relation().of() without touching cells', async () => {
    const [before] = await shop.database.query('SELECT title, title_key FROM books WHERE id = 2');
    const author = await manager().save(manager().create(Author, { id: 2, name: 'Bob join-secret' }));
    const relation = (name: string) => manager().createQueryBuilder().relation(Book, name).of(2);
    await relation('author').set(author);
    await relation('readers').addAndRemove(author, 1);
    const loaded = await relation('author').loadOne<Author>();
    expect(loaded?.name).toBe('Bob join-secret');
    expect((await relation('readers').loadMany<Author>()).map(({ name }) => name)).toEqual([
      'Bob join-secret',
    ]);
    await manager().createQueryBuilder().relation(Author, 'books').of(1).add(2);
    expect((await relation('author').loadOne<Author>())?.name).toBe('Ada join-secret');
    expect(await shop.database.query('SELECT title, title_key FROM books WHERE id = 2')).toEqual([before]);
  });

  it('send no plaintext', () => {
    expect(shop.recorder.lines.join('\n')).not.toMatch(/join-secret|tree-secret/u);
  });
});
