/** `…OrFail` puts the searched criteria into its error message; here they are left out. */
import { EntityNotFoundError, type EntityTarget, type ObjectLiteral } from 'typeorm';

const NOT_SHOWN = 'criteria that are not shown, since they may hold the value of an encrypted field';

/** The same promise, with an EntityNotFoundError that shows no criteria. */
export function withoutCriteria<T>(found: Promise<T>): Promise<T> {
  return found.catch((error: unknown) => {
    if (!isNotFound(error)) throw error;
    throw new EntityNotFoundError(error.entityClass, NOT_SHOWN);
  });
}

function isNotFound(error: unknown): error is { readonly entityClass: EntityTarget<ObjectLiteral> } {
  return error instanceof Error && error.constructor.name === 'EntityNotFoundError' && 'entityClass' in error;
}
