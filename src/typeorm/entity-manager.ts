/** The methods of an entity manager that an attached data source replaces; repositories and Active Record call them. */
import type { DataSource, EntityTarget, ObjectLiteral } from 'typeorm';
import { findColumn, type ColumnsOf } from './encrypted-column.js';
import type { EntityManagerInternals } from './internals.js';
import { foundOrFail, mayShowValue } from './not-found.js';
import { refuseAggregate } from './raw-use.js';

type ManagerClass = new (...args: never[]) => EntityManagerInternals;

type Target = EntityTarget<ObjectLiteral>;

/**
 * Makes managers of one kind ours. Every query runner has a manager of its own, so what is done to one costs each query:
 * a prototype is one assignment, where replacing the methods of the instance was measured at 6 µs.
 */
export function sealingManagers(
  dataSource: DataSource,
  example: EntityManagerInternals,
  columnsOf: ColumnsOf,
): (manager: EntityManagerInternals) => void {
  const Plain = example.constructor as ManagerClass;
  const isHidden = (target: Target, where: unknown): boolean =>
    dataSource.hasMetadata(target) && mayShowValue(columnsOf, dataSource.getMetadata(target), where);

  /** Has no members of its own, since no constructor of it runs. */
  class FieldSealEntityManager extends Plain {
    override async findOneOrFail(...args: [target: Target, options: unknown]): Promise<unknown> {
      const [target, options] = args;
      const { where } = Object(options) as { readonly where?: unknown };
      if (!isHidden(target, where)) return super.findOneOrFail(...args);
      return foundOrFail(await this.findOne(...args), target);
    }

    override async findOneByOrFail(...args: [target: Target, where: unknown]): Promise<unknown> {
      if (!isHidden(...args)) return super.findOneByOrFail(...args);
      return foundOrFail(await this.findOneBy(...args), args[0]);
    }

    override async callAggregateFun(
      target: Target,
      name: string,
      path: string,
      where?: unknown,
    ): Promise<unknown> {
      refuseAggregate(findColumn(columnsOf(dataSource.getMetadata(target)), path));
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
