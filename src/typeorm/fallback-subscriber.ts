/**
 * Opens what was hydrated without a page: by a builder that somebody constructed without the data source, for instance.
 * TypeORM calls subscribers once per entity, which costs as much as loading it; so this one shows its `afterLoad` only
 * while a value waits to be opened.
 */
import type { DataSource, EntityMetadata } from 'typeorm';
import type { CellsOfColumn, FieldSealPages } from '../keys/field-seal.js';
import { bindingOfEntity, type BoundColumn } from './bound-columns.js';
import type { ColumnsOf, EncryptedColumn } from './encrypted-column.js';
import type { Row } from './internals.js';
import { openAlone, type Opener } from './opener.js';
import { asCell } from './stored-cell.js';
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

/** @param open As the data source's policy has it. */
export function makeFallback(
  dataSource: DataSource,
  seal: FieldSealPages,
  open: Opener,
  columnsOf: ColumnsOf,
): Fallback {
  /** Sealed values by themselves, so that a value of another data source is not taken for one of these. */
  const pending = new WeakMap<Sealed, Uint8Array>();
  let waiting = 0;

  const openLater: OpenLater = ({ handle }, stored) => {
    const cell = asCell(stored)!;
    const sealed: Sealed = new Sealed(handle, cell, () => openAlone(seal, { column: handle, cells: [cell] }));
    pending.set(sealed, cell);
    waiting += 1;
    return sealed;
  };

  async function openEntity(entity: Row, { metadata }: LoadEvent): Promise<void> {
    for (const column of columnsOf(metadata)) {
      const value: unknown = column.cell.getEntityValue(entity);
      const cell = isSealed(value) ? pending.get(value) : undefined;
      if (cell === undefined) continue;
      const [opened] = await open([
        {
          column: column.handle,
          cells: [cell],
          ...bindingsIn(dataSource, column, entity),
        },
      ]);
      // Some versions broadcast a load twice; the second run finds a value that another one has opened.
      if (column.cell.getEntityValue(entity) !== value) continue;
      column.cell.setEntityValue(entity, opened!.values[0]);
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

function bindingsIn(
  dataSource: DataSource,
  { bound, previouslyBound, label }: EncryptedColumn,
  entity: Row,
): Pick<CellsOfColumn, 'bindings' | 'previousBindings'> {
  const of = (columns: readonly BoundColumn[]) => [bindingIn(dataSource, columns, entity, label)];
  return {
    ...(bound.length > 0 && { bindings: of(bound) }),
    ...(previouslyBound.length > 0 && { previousBindings: of(previouslyBound) }),
  };
}

/** Undefined where a bound value was not loaded: then the cell is reported as one that cannot be opened. */
function bindingIn(
  dataSource: DataSource,
  bound: readonly BoundColumn[],
  entity: Row,
  label: string,
): Uint8Array | undefined {
  const isLoaded = bound.every(({ column }) => (column.getEntityValue(entity) ?? undefined) !== undefined);
  return isLoaded ? bindingOfEntity(dataSource, bound, entity, label) : undefined;
}
