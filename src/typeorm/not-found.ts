/** `…OrFail`: TypeORM puts the searched criteria into its error; those that may hold the value of an encrypted field are left out. */
import {
  EntityNotFoundError,
  InstanceChecker,
  type EntityMetadata,
  type EntityTarget,
  type ObjectLiteral,
} from 'typeorm';
import { findColumn, type ColumnsOf } from './encrypted-column.js';

const NOT_SHOWN = 'criteria that are not shown, since they may hold the value of an encrypted field';

/** @throws EntityNotFoundError for null. */
export function foundOrFail<T>(found: T | null, target: EntityTarget<ObjectLiteral>): T {
  if (found !== null) return found;
  throw new EntityNotFoundError(target, NOT_SHOWN);
}

/** Whether criteria are of an entity with encrypted fields, or name one through a relation. */
export function mayShowValue(columnsOf: ColumnsOf, metadata: EntityMetadata, where: unknown): boolean {
  return columnsOf(metadata).length > 0 || reaches(columnsOf, metadata, where, '');
}

function reaches(columnsOf: ColumnsOf, metadata: EntityMetadata, where: unknown, prefix: string): boolean {
  if (typeof where !== 'object' || where === null || InstanceChecker.isFindOperator(where)) return false;
  if (Array.isArray(where)) return where.some((one) => reaches(columnsOf, metadata, one, prefix));
  return Object.entries(where).some(([key, value]) => {
    const path = prefix + key;
    if (findColumn(columnsOf(metadata), path)) return true;
    const relation = metadata.findRelationWithPropertyPath(path);
    if (relation) return reaches(columnsOf, relation.inverseEntityMetadata, value, '');
    return metadata.hasEmbeddedWithPropertyPath(path) && reaches(columnsOf, metadata, value, `${path}.`);
  });
}
