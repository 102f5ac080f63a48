/**
 * Proof at start that every `@Encrypted` on a class of the data source has its column. One that TypeORM puts aside for
 * another declaration of the property leaves a column that takes values as they are.
 */
import { isDeepStrictEqual } from 'node:util';
import type { EntityMetadata } from 'typeorm';
import { ConfigError } from '../errors.js';
import type { Claim, Claims } from './claims.js';
import { declarationOf, type Declaration } from './declaration.js';
import { cellPathOf } from './entity-schema.js';

type Encrypting = Claim & { readonly declaration: Declaration };

/** @throws ConfigError `ERR_CONFIG_FIELD` naming the property and both declarations. */
export function assertInForce(metadata: EntityMetadata, claims: Claims): void {
  for (const [path, onPath] of claims) {
    const encrypting = onPath.filter((claim): claim is Encrypting => claim.declaration !== undefined);
    const [first, ...others] = encrypting;
    if (first === undefined) continue;
    refuseBeside(metadata, path, first, onPath);
    for (const other of others) refuseDifference(metadata, path, first, other);
    assertColumn(metadata, path, first.declaration.options, `@Encrypted of ${first.owner}`);
  }
  // Entity schemas are not in the storage; a sibling that lost its cell shows that the cell was overridden.
  for (const path of metadata.columns.map(cellPathOf))
    if (path !== undefined) assertColumn(metadata, path, undefined, 'encryptedColumns');
}

function refuseBeside(
  metadata: EntityMetadata,
  path: string,
  encrypting: Encrypting,
  onPath: readonly Claim[],
): void {
  const other = onPath.find(({ declaration }) => declaration === undefined);
  if (other === undefined) return;
  throw refusal(
    metadata,
    path,
    `expected @Encrypted alone on this property, got @Encrypted of ${encrypting.owner} and ${other.decorator} of ${other.owner}. ` +
      'TypeORM keeps one of them and says nothing, and values would be stored as they are. Remove the other decorator, or ' +
      'give one of the two properties another name.',
  );
}

function refuseDifference(
  metadata: EntityMetadata,
  path: string,
  first: Encrypting,
  second: Encrypting,
): void {
  const different = differences(first.declaration.options, second.declaration.options);
  if (different.length === 0) return;
  throw refusal(
    metadata,
    path,
    `got two @Encrypted, of ${first.owner} and of ${second.owner}, that differ in ${different.join(', ')}. ` +
      'TypeORM keeps one of them and says nothing. Remove one, or make them the same (functions too).',
  );
}

function assertColumn(
  metadata: EntityMetadata,
  path: string,
  options: Declaration['options'] | undefined,
  declared: string,
): void {
  const column = metadata.columns.find(({ propertyPath }) => propertyPath === path);
  const inForce = declarationOf(column?.transformer)?.options;
  const isTaken =
    metadata.relations.some(({ propertyPath }) => propertyPath === path) ||
    metadata.findEmbeddedWithPropertyPath(path) !== undefined;
  if (inForce && !isTaken && (options === undefined || differences(options, inForce).length === 0)) return;
  throw refusal(
    metadata,
    path,
    `expected the column that ${declared} declares, got ${column ? 'another declaration of it' : 'none'}. Values would be ` +
      'stored as they are, or not at all. Declare the property once, encrypted; in an EntitySchema with encryptedColumns.',
  );
}

function differences(first: Declaration['options'], second: Declaration['options']): readonly string[] {
  const [one, other]: readonly Readonly<Record<string, unknown>>[] = [first, second];
  return Object.keys(first).filter((name) => !isDeepStrictEqual(one![name], other![name]));
}

const refusal = ({ name }: EntityMetadata, path: string, problem: string): ConfigError =>
  new ConfigError('ERR_CONFIG_FIELD', `${name}.${path}: ${problem}`);
