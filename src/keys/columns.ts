/** The encrypted columns that were declared to one field seal. */
import { cellColumn } from '../cell/column.js';
import type { CellColumn } from '../cell/column.js';
import { ConfigError } from '../errors.js';
import type { FieldSealEvent } from './events.js';
import { hasIndexKeys } from './delivery-options.js';
import type { FieldColumn, FieldDeclaration } from './field-seal.js';
import { describeValue, nearestName } from './options.js';
import type { Policy } from './policy.js';
import { previousColumn, type PreviousColumn } from './previously.js';

/** What stands behind a handle. */
export interface DeclaredColumn {
  readonly declaration: FieldDeclaration;
  readonly policy: Policy;
  readonly cells: CellColumn;
  readonly previous: PreviousColumn | undefined;
}

export class Columns {
  readonly #application: string;
  readonly #environment: string;
  readonly #policies: ReadonlyMap<string, Policy>;
  readonly #emit: (event: FieldSealEvent) => void;
  readonly #declared = new WeakMap<FieldColumn, DeclaredColumn>();
  readonly #byContext = new Map<string, FieldColumn>();

  /** @param emit Told once of each column that deserves a second thought. */
  constructor(
    application: string,
    environment: string,
    policies: ReadonlyMap<string, Policy>,
    emit: (event: FieldSealEvent) => void,
  ) {
    this.#application = application;
    this.#environment = environment;
    this.#policies = policies;
    this.#emit = emit;
  }

  /**
   * The handle of a column; the same one for the same declaration.
   * @throws ConfigError `ERR_CONFIG_PURPOSE_UNKNOWN`, `ERR_CONFIG_FIELD`, `ERR_CONFIG_DUPLICATE_CONTEXT`.
   */
  declare(declaration: FieldDeclaration): FieldColumn {
    checkDeclaration(declaration);
    const context = JSON.stringify([declaration.entity, declaration.field]);
    const known = this.#byContext.get(context);
    if (known !== undefined) {
      assertSame(this.get(known).declaration, declaration);
      return known;
    }
    const { purpose, entity, field, codec } = declaration;
    const cells = this.cells(purpose, {
      ...declaration,
      pad: declaration.pad ?? 0,
      bound: declaration.bound ?? false,
    });
    this.#refuseIndexWithoutKeys(declaration);
    const previous = previousColumn(declaration, (parts) => this.cells(purpose, { ...parts, pad: 0 }));
    const hasPendingIndexes =
      declaration.blindIndex !== undefined && this.policy(purpose).index.source === 'kms';
    const column: FieldColumn = Object.freeze({ purpose, entity, field, codec, hasPendingIndexes });
    this.#declared.set(column, {
      declaration: Object.freeze({ ...declaration }),
      policy: this.policy(purpose),
      cells,
      previous,
    });
    this.#byContext.set(context, column);
    this.#warnOfUnboundPan(declaration);
    return column;
  }

  /** @throws ConfigError `ERR_CONFIG_FIELD` for a handle of another field seal. */
  get(column: FieldColumn): DeclaredColumn {
    const declared = this.#declared.get(column);
    if (declared !== undefined) return declared;
    throw new ConfigError(
      'ERR_CONFIG_FIELD',
      `${column.entity}.${column.field}: expected a column declared with column() of this field seal, got another one.`,
    );
  }

  /**
   * The context of cells of this purpose.
   * @throws ConfigError `ERR_CONFIG_PURPOSE_UNKNOWN`, `ERR_CONFIG_FIELD`.
   */
  cells(purpose: string, parts: Omit<CellColumn, 'application' | 'environment' | 'purpose'>): CellColumn {
    this.policy(purpose);
    const { entity, field, codec, pad, bound } = parts;
    const owner = { application: this.#application, environment: this.#environment, purpose };
    return cellColumn({ ...owner, entity, field, codec, pad, bound });
  }

  /** Every INSERT of the field would fail, and every search by it. */
  #refuseIndexWithoutKeys({ purpose, entity, field, blindIndex }: FieldDeclaration): void {
    const { index, delivery } = this.policy(purpose);
    if (blindIndex === undefined || index.source === 'kms' || hasIndexKeys(index)) return;
    throw new ConfigError(
      'ERR_CONFIG_FIELD',
      `${entity}.${field}: expected index keys for its blind index, got none: with ${delivery} delivery a purpose has them only ` +
        `where purposes.${purpose}.index says 'local' or 'later' (with a key store), or 'kms'. Set it, or leave blindIndex out.`,
    );
  }

  #warnOfUnboundPan({ purpose, entity, field, bound }: FieldDeclaration): void {
    if (this.policy(purpose).class !== 'pan' || bound !== undefined) return;
    const message =
      `${entity}.${field}: cells of a purpose of class 'pan' are not bound to their row, so that whoever writes to the ` +
      'table can copy one to another row. Declare bind, or bind: false where that is meant.';
    this.#emit({ type: 'warning', code: 'PAN_NOT_BOUND', message });
  }

  /** @throws ConfigError `ERR_CONFIG_PURPOSE_UNKNOWN`. */
  policy(purpose: string): Policy {
    // What callers pass is not always what the types say.
    if (typeof purpose !== 'string') {
      const got = describeValue(purpose);
      throw new ConfigError('ERR_CONFIG_PURPOSE_UNKNOWN', `Expected the name of a purpose, got ${got}.`);
    }
    const policy = this.#policies.get(purpose);
    if (policy !== undefined) return policy;
    const known = [...this.#policies.keys()];
    const nearest = nearestName(purpose, known);
    throw new ConfigError(
      'ERR_CONFIG_PURPOSE_UNKNOWN',
      `There is no purpose '${purpose}'; ${nearest === undefined ? `purposes are ${known.join(', ')}` : `did you mean '${nearest}'?`}`,
    );
  }
}

/** Before anything is made of it; that its names are such is looked at with the column. */
function checkDeclaration(declaration: unknown): void {
  const names = typeof declaration === 'object' && declaration !== null ? declaration : {};
  const { entity, field } = names as { readonly entity?: unknown; readonly field?: unknown };
  if (typeof entity === 'string' && typeof field === 'string') return;
  throw new ConfigError(
    'ERR_CONFIG_FIELD',
    `Expected the declaration of a column with entity and field, got ${describeValue(entity)} and ${describeValue(field)}.`,
  );
}

/** Cells of one context are opened one way: two ways to declare it are a mistake. */
function assertSame(first: FieldDeclaration, second: FieldDeclaration): void {
  const different = [...differences(SETTINGS, first, second)];
  if (different.length === 0) return;
  const functions = different.filter((setting) => FUNCTIONS.has(setting));
  throw new ConfigError(
    'ERR_CONFIG_DUPLICATE_CONTEXT',
    `${first.entity}.${first.field} is declared twice, with another ${different.join(', ')} the second time; ` +
      (functions.length < different.length
        ? 'give one of the two fields a context of its own, or declare both the same way.'
        : `a function is the same only where it is the same object. Where the entity was loaded again (hot reload, a test ` +
          'runner that resets modules), put the function into a module that stays loaded, or make the field seal anew with ' +
          'createFieldSeal() together with the DataSource. Two fields that are meant to differ each need a context of their own.'),
  );
}

type Settings = Readonly<Record<string, (declaration: FieldDeclaration) => unknown>>;

const SETTINGS: Settings = {
  purpose: ({ purpose }) => purpose,
  codec: ({ codec }) => codec,
  pad: ({ pad }) => pad ?? 0,
  bound: ({ bound }) => bound ?? false,
  mask: ({ mask }) => mask,
  blindIndex: ({ blindIndex }) => blindIndex !== undefined,
  'blindIndex.normalize': ({ blindIndex }) => blindIndex?.normalize,
  'blindIndex.later': ({ blindIndex }) => blindIndex?.later,
  'previously.context': ({ previously }) => previously?.entity && `${previously.entity}.${previously.field}`,
  'previously.type': ({ previously }) => previously?.codec,
  'previously.bind': ({ previously }) => previously?.bound,
  'previously.convert': ({ previously }) => previously?.convert,
  'previously.revert': ({ previously }) => previously?.revert,
};

const FUNCTIONS: ReadonlySet<string> = new Set([
  'blindIndex.normalize',
  'previously.convert',
  'previously.revert',
]);

function* differences(
  settings: Settings,
  first: FieldDeclaration,
  second: FieldDeclaration,
): Iterable<string> {
  for (const [setting, of] of Object.entries(settings)) if (of(first) !== of(second)) yield setting;
}
