/** Active Record: TypeORM gives each class to the DataSource that was initialized last, whatever that one may do. */
import { InstanceChecker, type EntityMetadata } from 'typeorm';
import type { FieldSealPages } from '../keys/field-seal.js';

// Two copies of the package must know of each other's classes.
const registry = Symbol.for('fieldseal/readable-classes');

/** Tells the field seal's listener when a class that could read its encrypted fields no longer can. */
export function noteActiveRecord(seal: FieldSealPages, entities: readonly EntityMetadata[]): void {
  const readable = readableClasses();
  for (const { target, name } of entities) {
    if (!InstanceChecker.isBaseEntityConstructor(target)) continue;
    if (seal.access === 'read-write') {
      readable.add(target);
    } else if (readable.delete(target)) {
      seal.warn(
        'ACTIVE_RECORD_WRITE_ONLY',
        `${name}: its static methods use the DataSource that was initialized last, which only writes; they give sealed ` +
          'values from now on. Use repositories of the DataSource that is meant, or initialize the read-write one last.',
      );
    }
  }
}

function readableClasses(): WeakSet<object> {
  const shared = globalThis as { [registry]?: WeakSet<object> | undefined };
  return (shared[registry] ??= new WeakSet<object>());
}
