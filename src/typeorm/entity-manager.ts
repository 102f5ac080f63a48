/** The methods of an entity manager that an attached data source replaces; repositories and Active Record call them. */
import { override, type EntityManagerInternals } from './internals.js';
import { withoutCriteria } from './not-found.js';

// TypeORM 0.3.20 makes the statement before it makes the promise, so what cannot be searched would throw at the caller.
const REJECTING = ['update', 'delete', 'softDelete', 'restore'] as const;

export function overrideManager(manager: EntityManagerInternals): void {
  const findOneOrFail = manager.findOneOrFail.bind(manager);
  const findOneByOrFail = manager.findOneByOrFail.bind(manager);
  override(manager, 'findOneOrFail', (target, options) => withoutCriteria(findOneOrFail(target, options)));
  override(manager, 'findOneByOrFail', (target, where) => withoutCriteria(findOneByOrFail(target, where)));
  for (const name of REJECTING) {
    const method = manager[name].bind(manager);
    override(manager, name, async (...args) => await method(...args));
  }
}
