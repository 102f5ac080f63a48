/**
 * Opens what was hydrated without a page: by a builder that somebody constructed without the data source, for instance.
 * TypeORM calls subscribers once per entity, which costs as much as loading it; so this one shows its `afterLoad` only
 * while a value has stayed sealed.
 */
import type { DataSource, EntityMetadata } from 'typeorm';
import { OpenError } from '../errors.js';
import type { FieldSealPages } from '../keys/field-seal.js';
import { bindingOfEntity } from './bound-columns.js';
import type { ColumnsOf, EncryptedColumn } from './encrypted-column.js';
import type { Row } from './internals.js';
import { isSealed, Sealed } from './sealed.js';
import type { OpenLater } from './transformer.js';

interface LoadEvent {
  readonly metadata: EntityMetadata;
}

export interface Fallback {
  /** Joins the data source's subscribers. */
  readonly subscriber: { readonly afterLoad: ((entity: Row, event: LoadEvent) => Promise<void>) | undefined };
  /** For the transformers: a cell that no page has opened becomes a {@link Sealed} value. */
  readonly openLater: OpenLater;
}

export function makeFallback(dataSource: DataSource, seal: FieldSealPages, columnsOf: ColumnsOf): Fallback {
  /** Sealed values by themselves, so that a value of another data source is not taken for one of these. */
  const pending = new WeakMap<Sealed, Uint8Array>();
  let waiting = 0;

  const openLater: OpenLater = (column, cell) => {
    const { purpose, entity, field } = column.handle;
    const sealed: Sealed = new Sealed(purpose, `${entity}.${field}`, () =>
      openOne(seal, column, cell, undefined),
    );
    pending.set(sealed, cell);
    waiting += 1;
    return sealed;
  };

  async function openEntity(entity: Row, { metadata }: LoadEvent): Promise<void> {
    for (const column of columnsOf(metadata)) {
      const value: unknown = column.cell.getEntityValue(entity);
      const cell = isSealed(value) ? pending.get(value) : undefined;
      if (cell === undefined) continue;
      const binding =
        column.bound.length === 0
          ? undefined
          : bindingOfEntity(dataSource, column.bound, entity, column.label);
      const opened = await openOne(seal, column, cell, binding);
      // Some versions broadcast a load twice; the second run finds a value that another one has opened.
      if (column.cell.getEntityValue(entity) !== value) continue;
      column.cell.setEntityValue(entity, opened);
      waiting -= 1;
    }
  }

  const subscriber = {
    get afterLoad() {
      return waiting > 0 ? openEntity : undefined;
    },
  };
  return { subscriber, openLater };
}

async function openOne(
  seal: FieldSealPages,
  column: EncryptedColumn,
  cell: Uint8Array,
  binding: Uint8Array | undefined,
): Promise<unknown> {
  if (column.bound.length > 0 && binding === undefined) {
    throw new OpenError(
      'ERR_OPEN_FAILED',
      `${column.label} is bound to other columns of its row and cannot be opened without them. Load the entity through the DataSource.`,
    );
  }
  const [opened] = await seal.openPage([
    { column: column.handle, cells: [cell], ...(binding && { bindings: [binding] }) },
  ]);
  const failure = opened?.failures?.get(0);
  if (failure) throw failure;
  return opened?.values[0];
}
