/** `…OrFail`: TypeORM puts the searched criteria into its error message; here they are left out. */
import { EntityNotFoundError, type EntityTarget, type ObjectLiteral } from 'typeorm';

const NOT_SHOWN = 'criteria that are not shown, since they may hold the value of an encrypted field';

/** @throws EntityNotFoundError for null. */
export function foundOrFail<T>(found: T | null, target: EntityTarget<ObjectLiteral>): T {
  if (found !== null) return found;
  throw new EntityNotFoundError(target, NOT_SHOWN);
}
