/** What a field seal and its views share: the keys of the process, the declared columns, the counters. */
import { closedError } from './closed.js';
import { Columns } from './columns.js';
import type { FieldSealEvent } from './events.js';
import type { FieldDeclaration } from './field-seal.js';
import type { ParsedFieldSealOptions } from './field-seal-options.js';
import { Listener } from './listener.js';
import type { IndexMakers } from './index-makers.js';
import type { OpenPageParts } from './open-page.js';
import type { Access } from './ports.js';
import { ProcessKeys } from './process-keys.js';
import type { SealRowsParts } from './seal-rows.js';
import { ValueColumns } from './single-value.js';
import { refuseUnmadeIndex } from './unmade-indexes.js';

export class FieldSealWork {
  readonly options: ParsedFieldSealOptions;
  readonly listener: Listener;
  readonly keys: ProcessKeys;
  readonly columns: Columns;
  readonly valueColumns: ValueColumns;
  cellsSealed = 0;
  cellsOpened = 0;
  openFailures = 0;
  closed = false;

  constructor(options: ParsedFieldSealOptions) {
    const { application, environment, policies, onEvent } = options;
    this.options = options;
    this.listener = new Listener(onEvent);
    const emit = (event: FieldSealEvent): void => {
      this.listener.emit(event);
    };
    this.keys = new ProcessKeys({ ...options, emit });
    this.columns = new Columns(application, environment, policies, emit);
    this.valueColumns = new ValueColumns(this.columns);
  }

  assertOpen(): void {
    if (this.closed) throw closedError();
  }

  /** @throws ConfigError `ERR_CONFIG_FIELD` for a blind index that this process cannot make. */
  refuseUnmadeIndex(declaration: FieldDeclaration): void {
    const { purpose } = declaration;
    const making = { indexKeys: this.keys.reading?.indexKeys, source: this.options.source };
    refuseUnmadeIndex(declaration, this.columns.policy(purpose), making);
  }

  /** What sealing needs. */
  sealing(access: Access): SealRowsParts {
    return {
      columns: this.columns,
      pools: this.keys.pools,
      writers: this.keys.writers,
      indexMakers: this.#indexMakers(access),
      sealed: (cells) => {
        this.cellsSealed += cells;
      },
    };
  }

  /** Without index keys where only writes are allowed. */
  #indexMakers(access: Access): IndexMakers {
    const indexKeys = access === 'write-only' ? undefined : this.keys.reading?.indexKeys;
    return (purpose) => {
      const policy = this.columns.policy(purpose);
      return policy.index.source === 'kms' ? this.keys.kmsIndexes.of(policy) : indexKeys?.of(policy);
    };
  }

  /** What opening needs. */
  opening(access: Access): OpenPageParts | undefined {
    const { reading } = this.keys;
    if (access === 'write-only' || reading === undefined) return undefined;
    return {
      keyring: reading.keyring,
      envelopes: reading.envelopes,
      sessions: reading.sessions,
      assertOpen: () => {
        this.assertOpen();
      },
      opened: (cells, failures) => {
        this.cellsOpened += cells;
        this.openFailures += failures;
      },
    };
  }
}
