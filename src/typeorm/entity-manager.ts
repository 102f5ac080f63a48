/** The methods of an entity manager that an attached data source replaces; repositories and Active Record call them. */
import type { EntityTarget, ObjectLiteral } from 'typeorm';
import type { EncryptedColumn } from './encrypted-column.js';
import type { EntityManagerInternals } from './internals.js';
import { foundOrFail } from './not-found.js';
import { refuseAggregate } from './raw-use.js';

type ManagerClass = new (...args: never[]) => EntityManagerInternals;

/** The encrypted column of an entity behind a property path. */
type ColumnAt = (target: EntityTarget<ObjectLiteral>, path: string) => EncryptedColumn | undefined;

/**
 * Makes managers of one kind ours. Every query runner has a manager of its own, so what is done to one costs each query:
 * a prototype is one assignment, where replacing the methods of the instance was measured at 6 µs.
 */
export function sealingManagers(
  example: EntityManagerInternals,
  columnAt: ColumnAt,
): (manager: EntityManagerInternals) => void {
  const Plain = example.constructor as ManagerClass;

  /** Has no members of its own, since no constructor of it runs. */
  class FieldSealEntityManager extends Plain {
    override async findOneOrFail(target: EntityTarget<ObjectLiteral>, options: unknown): Promise<unknown> {
      return foundOrFail(await this.findOne(target, options), target);
    }

    override async findOneByOrFail(target: EntityTarget<ObjectLiteral>, where: unknown): Promise<unknown> {
      return foundOrFail(await this.findOneBy(target, where), target);
    }

    override async callAggregateFun(
      target: EntityTarget<ObjectLiteral>,
      name: string,
      path: string,
      where?: unknown,
    ): Promise<unknown> {
      refuseAggregate(columnAt(target, path));
      return await super.callAggregateFun(target, name, path, where);
    }

    // TypeORM 0.3.20 makes the statement before it makes the promise, so what cannot be searched would throw at the caller.
    override async update(...args: unknown[]): Promise<unknown> {
      return await super.update(...args);
    }

    override async delete(...args: unknown[]): Promise<unknown> {
      return await super.delete(...args);
    }

    override async softDelete(...args: unknown[]): Promise<unknown> {
      return await super.softDelete(...args);
    }

    override async restore(...args: unknown[]): Promise<unknown> {
      return await super.restore(...args);
    }
  }

  return (manager) => {
    Object.setPrototypeOf(manager, FieldSealEntityManager.prototype);
  };
}
