/**
 * With `insertOnly` no id comes back from the database, so rows that cascade from a new row cannot name it, and TypeORM
 * would store them without their parent and say nothing. Such a save is refused.
 */
import {
  InstanceChecker,
  type DataSource,
  type EntityMetadata,
  type EntityTarget,
  type ObjectLiteral,
} from 'typeorm';
import { QueryError } from '../errors.js';
import type { ColumnsOf } from './encrypted-column.js';
import { override, type EntityManagerInternals, type Row } from './internals.js';

type Relation = EntityMetadata['relations'][number];

/** Makes `save()` of a manager check its entities first; repositories and Active Record call it. */
export function refuseUnknownParents(
  dataSource: DataSource,
  manager: EntityManagerInternals,
  columnsOf: ColumnsOf,
): void {
  const save = manager.save.bind(manager);
  override(manager, 'save', async (...args) => {
    const [first, second] = args;
    const hasTarget = args.length > 1 && (typeof first !== 'object' || InstanceChecker.isEntitySchema(first));
    const seen = new Set<unknown>();
    for (const entity of [hasTarget ? second : first].flat() as (Row | null | undefined)[]) {
      const target = (hasTarget ? first : entity?.constructor) as EntityTarget<ObjectLiteral> | undefined;
      // What is no entity is left to TypeORM and its messages.
      if (entity && target && dataSource.hasMetadata(target)) check(dataSource.getMetadata(target), entity);
    }
    return save(...args);

    function check(metadata: EntityMetadata, entity: Row): void {
      if (seen.has(entity)) return;
      seen.add(entity);
      for (const relation of metadata.relations.filter(({ isCascadeInsert }) => isCascadeInsert)) {
        for (const related of relatedBy(relation, entity)) {
          const [parent, parentMetadata] =
            relation.isOwning && !relation.isManyToMany
              ? [related, relation.inverseEntityMetadata]
              : [entity, metadata];
          if (columnsOf(parentMetadata).length > 0 && !parentMetadata.hasAllPrimaryKeys(parent)) {
            throw unknownParent(metadata, relation, parentMetadata);
          }
          check(relation.inverseEntityMetadata, related);
        }
      }
    }
  });
}

/** The objects in a relation; a lazy one is not loaded for this. */
function relatedBy(relation: Relation, entity: Row): Row[] {
  const value: unknown = relation.getEntityValue(entity);
  return [value].flat().filter((one): one is Row => typeof one === 'object' && one !== null);
}

function unknownParent(metadata: EntityMetadata, relation: Relation, parent: EntityMetadata): QueryError {
  return new QueryError(
    'ERR_QUERY_INSERT_ONLY',
    `${metadata.name}.${relation.propertyPath}: the database makes the id of ${parent.name}, and this DataSource is attached ` +
      'with insertOnly, so rows that belong to a new one cannot be saved with it. Give it an id and insert() each entity.',
  );
}
