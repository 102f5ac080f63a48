/**
 * What the decorators of an entity say about each of its properties. Of several declarations of one property TypeORM keeps
 * the first and says nothing; its storage still has all of them.
 */
import { getMetadataArgsStorage, type EntityMetadata } from 'typeorm';
import { declarationOf, type Declaration } from './declaration.js';
import { isMaskMark } from './mask-column.js';

/** One decorator on one property. */
export interface Claim {
  /** `@Encrypted`, `@Column`, `@ManyToOne`. */
  readonly decorator: string;
  /** The class that it stands on. */
  readonly owner: string;
  readonly declaration: Declaration | undefined;
  /** Whether it came with an `@Encrypted`: the cell, or one of its siblings. */
  readonly isOurs: boolean;
}

/** The claims on each property path of an entity: of its parents, of children in one table, of embedded classes. */
export type Claims = ReadonlyMap<string, readonly Claim[]>;

interface Claimed extends Claim {
  readonly property: string;
  /** Of an embedded class, whose properties follow. */
  readonly embedded?: () => unknown;
}

/** Reads the storage once, for all entities of a data source. */
export function readClaims(): (metadata: EntityMetadata) => Claims {
  const byTarget = new Map<unknown, Claimed[]>();
  for (const [target, claimed] of claimsOfStorage()) {
    const ofTarget = byTarget.get(target);
    if (ofTarget) ofTarget.push(claimed);
    else byTarget.set(target, [claimed]);
  }
  return ({ inheritanceTree }) => {
    const claims = new Map<string, Claim[]>();
    collect(inheritanceTree, '');
    return claims;

    function collect(targets: readonly unknown[], prefix: string): void {
      for (const claimed of targets.flatMap((target) => byTarget.get(target) ?? [])) {
        const path = prefix + claimed.property;
        const onPath = claims.get(path);
        if (onPath) onPath.push(claimed);
        else claims.set(path, [claimed]);
        if (claimed.embedded) collect(withParents(claimed.embedded()), `${path}.`);
      }
    }
  };
}

/** Names of the decorators by the modes of their columns; the others make regular ones. */
const OF_MODES: ReadonlyMap<string, string> = new Map([
  ['createDate', '@CreateDateColumn'],
  ['updateDate', '@UpdateDateColumn'],
  ['deleteDate', '@DeleteDateColumn'],
  ['version', '@VersionColumn'],
  ['objectId', '@ObjectIdColumn'],
  ['treeLevel', '@TreeLevelColumn'],
  ['virtual-property', '@VirtualColumn'],
]);

const OF_RELATIONS: ReadonlyMap<string, string> = new Map([
  ['one-to-one', '@OneToOne'],
  ['one-to-many', '@OneToMany'],
  ['many-to-one', '@ManyToOne'],
  ['many-to-many', '@ManyToMany'],
]);

function* claimsOfStorage(): Iterable<readonly [target: unknown, Claimed]> {
  const storage = getMetadataArgsStorage();
  // Of TypeORM 0.3.
  const { relationCounts = [] } = storage as { readonly relationCounts?: typeof storage.relationIds };
  for (const { target, propertyName, mode, options } of storage.columns) {
    const declaration = declarationOf(options.transformer);
    const isOurs = declaration !== undefined || mode === 'virtual' || isMaskMark(options.transformer);
    const plain = options.primary ? '@PrimaryColumn' : (OF_MODES.get(mode) ?? '@Column');
    const decorator = isOurs ? '@Encrypted' : plain;
    yield [target, { decorator, property: propertyName, owner: nameOf(target), declaration, isOurs }];
  }
  for (const { target, propertyName, relationType } of storage.relations)
    yield [target, foreign(OF_RELATIONS.get(relationType) ?? 'a relation', propertyName, target)];
  for (const { target, propertyName } of storage.relationIds)
    yield [target, foreign('@RelationId', propertyName, target)];
  for (const { target, propertyName } of relationCounts)
    yield [target, foreign('@RelationCount', propertyName, target)];
  for (const { target, propertyName, type } of storage.embeddeds)
    yield [target, { ...foreign('@Column', propertyName, target), embedded: () => type() }];
}

function foreign(decorator: string, property: string, target: unknown): Claimed {
  return { decorator, property, owner: nameOf(target), declaration: undefined, isOurs: false };
}

const nameOf = (target: unknown): string => (typeof target === 'function' ? target.name : String(target));

/** A class and what it extends. */
function withParents(target: unknown): readonly unknown[] {
  const classes: unknown[] = [];
  for (let one = target; typeof one === 'function'; one = Object.getPrototypeOf(one)) classes.push(one);
  return classes;
}
