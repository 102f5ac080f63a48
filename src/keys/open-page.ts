/** Opening of a page: keys first, all together, then the cells of each key in batches across columns. */
import { type CellGroup, CellGroups, splitGroup } from '../cell/cell-groups.js';
import type { CellColumn } from '../cell/column.js';
import type { Delivery, DeliveryHeader } from '../cell/delivery-header.js';
import {
  beginOpening,
  failCells,
  isAcceptedAtAll,
  openCells,
  refuseCells,
  type Opening,
  type OpenOptions,
} from '../cell/open.js';
import type { EnvelopeKeys } from './envelope-keys.js';
import type { CellsOfColumn, OpenedColumn } from './field-seal.js';
import { HeldKey } from './held-key.js';
import type { Keyring, Leased } from './keyring.js';
import { isPending, whenReady, type Ready } from './ready.js';
import type { SessionKeys } from './session-keys.js';
import { eachInSlices } from './slices.js';

/** Cells of one column with what is needed to open them. */
export interface CellsToOpen extends OpenOptions {
  readonly column: CellColumn;
  readonly cells: CellsOfColumn['cells'];
  readonly previousBindings?: CellsOfColumn['previousBindings'] | undefined;
}

export interface OpenPageParts {
  readonly keyring: Pick<Keyring, 'lease'>;
  readonly envelopes: Pick<EnvelopeKeys, 'beginPage'>;
  readonly sessions: Pick<SessionKeys, 'beginPage'>;
  /** Throws when the field seal was closed while keys were loaded. */
  assertOpen(): void;
  /** Told how many cells were opened and how many failed. */
  opened(cells: number, failures: number): void;
}

/** At once where all keys are here. */
export function openPage(parts: OpenPageParts, page: readonly CellsToOpen[]): Ready<readonly OpenedColumn[]> {
  const groups = new CellGroups<Opening>();
  const columns = page.map((cells) => beginOpening(groups, cells.column, cells.cells, cells));
  const keys = leaseAll(parts, groups.all);
  return whenReady(keys, (leased) => openLeased(parts, columns, groups.all, leased));
}

/** A group that no column of it accepts needs no key: anybody could write such cells to have keys fetched. */
const REFUSED = Symbol('refused');
type LeasedOrRefused = Leased | typeof REFUSED;

type Group = CellGroup<Opening>;
type LeaseOfGroup = (group: Group) => Ready<Leased>;

type HeaderOf<Name extends Delivery> = Extract<DeliveryHeader, { readonly delivery: Name }>;

const parse = ({ byteOne, header }: Group): DeliveryHeader => byteOne.layout.parse(header);

/** Where the keys of one page come from. A cell gets its key in the way of its own delivery and in no other. */
const LEASES: Readonly<Record<Delivery, (parts: OpenPageParts) => LeaseOfGroup>> = {
  pool:
    ({ keyring }) =>
    ({ purpose, fingerprint }) =>
      keyring.lease(purpose, fingerprint),
  envelope: ({ envelopes }) => {
    const lease = envelopes.beginPage();
    return (group) => lease({ ...group, ...(parse(group) as HeaderOf<'envelope'>) });
  },
  sealed: ({ sessions }) => {
    const lease = sessions.beginPage();
    return (group) => lease({ ...group, ...(parse(group) as HeaderOf<'sealed'>) });
  },
};

/**
 * The key of each group, or why there is none. What has to be loaded from the key store is asked for in one microtask; keys
 * that cells carry may be as many as there are rows, so they are looked for in slices.
 */
function leaseAll(parts: OpenPageParts, groups: readonly Group[]): Ready<readonly LeasedOrRefused[]> {
  const keys = new Array<Ready<LeasedOrRefused>>(groups.length);
  const leaseOf = leasesOfPage(parts);
  const carried: [i: number, group: Group][] = [];
  groups.forEach((group, i) => {
    if (group.byteOne.delivery === 'pool') keys[i] = leaseOf(group);
    else carried.push([i, group]);
  });
  const asked = eachInSlices(carried, ([i, group]) => {
    const key = (keys[i] = leaseOf(group));
    // All are waited for together when the last was asked for; until then nobody hears of one that fails.
    if (isPending(key)) key.catch(() => undefined);
  });
  return whenReady(asked, () =>
    keys.every(isHere) ? keys : Promise.all(keys.map((key) => Promise.resolve(key))),
  );
}

/** Each delivery begins the page with its first group. */
function leasesOfPage(parts: OpenPageParts): (group: Group) => Ready<LeasedOrRefused> {
  const begun = new Map<Delivery, LeaseOfGroup>();
  return (group) => {
    if (!isAcceptedAtAll(group)) return REFUSED;
    const { delivery } = group.byteOne;
    let lease = begun.get(delivery);
    if (lease === undefined) begun.set(delivery, (lease = LEASES[delivery](parts)));
    return lease(group);
  };
}

const isHere = (key: Ready<LeasedOrRefused>): key is LeasedOrRefused => !isPending(key);

interface Piece {
  readonly group: Group;
  readonly key: LeasedOrRefused;
}

/** At once, unless the page takes longer than the event loop may wait. */
function openLeased(
  parts: OpenPageParts,
  columns: readonly Opening[],
  groups: readonly Group[],
  keys: readonly LeasedOrRefused[],
): Ready<readonly OpenedColumn[]> {
  let opened: Ready<void>;
  try {
    parts.assertOpen();
    opened = eachInSlices(piecesOf(groups, keys), openPiece);
  } catch (error) {
    releaseAll(keys);
    throw error;
  }
  if (opened instanceof Promise)
    return opened.finally(() => releaseAll(keys)).then(() => counted(parts, columns));
  releaseAll(keys);
  return counted(parts, columns);
}

function piecesOf(groups: readonly Group[], keys: readonly LeasedOrRefused[]): readonly Piece[] {
  const pieces: Piece[] = [];
  groups.forEach((whole, i) => {
    for (const group of splitGroup(whole)) pieces.push({ group, key: keys[i]! });
  });
  return pieces;
}

function openPiece({ group, key }: Piece): void {
  if (key instanceof HeldKey) openCells(key.key, group);
  else if (key === REFUSED) refuseCells(group);
  else failCells(group, key);
}

function releaseAll(keys: readonly LeasedOrRefused[]): void {
  for (const key of keys) if (key instanceof HeldKey) key.release();
}

function counted(parts: OpenPageParts, columns: readonly Opening[]): readonly OpenedColumn[] {
  for (const { count, failures } of columns) {
    const failed = failures?.size ?? 0;
    parts.opened(count - failed, failed);
  }
  return columns;
}
