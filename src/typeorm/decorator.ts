/** `@Encrypted`: registers the cell column, its siblings and their indexes with TypeORM. */
import { Column, getMetadataArgsStorage, type ColumnOptions } from 'typeorm';
import { Declaration, type EncryptedOptions } from './declaration.js';
import { columnsOfField } from './field-columns.js';

/**
 * Encrypts a property of an entity: on save it is sealed under a data key of the purpose, the key's fingerprint goes
 * into `<property>_key`; on load it is opened. The entity itself only ever holds the plaintext.
 *
 * @throws ConfigError `ERR_CONFIG_OPTION` (unknown or wrong option), `ERR_CONFIG_FORBIDDEN_FIELD` (card verification
 *   values, PINs, track data), when the class is defined.
 */
export function Encrypted(options: EncryptedOptions): PropertyDecorator {
  return (target, property) => {
    const name = String(property);
    const declaration = new Declaration(
      options,
      `${target.constructor.name}.${name}`,
      designType(target, property),
    );
    for (const { property: sibling, options: column, isHidden, index } of columnsOfField(name, declaration)) {
      if (isHidden) addHidden(target, sibling, column);
      else Column(column)(target, sibling);
      if (index) addIndex(target, sibling, index.unique);
    }
  };
}

/**
 * A physical, migrated column that is never mapped on the entity. A regular column with `select: false` would be set to
 * null on the object after a save, and written as NULL by the next one; `virtual` ones are left alone.
 */
function addHidden(target: object, propertyName: string, options: ColumnOptions): void {
  getMetadataArgsStorage().columns.push({
    target: target.constructor,
    propertyName,
    mode: 'virtual',
    options,
  });
}

function addIndex(target: object, propertyName: string, unique: boolean): void {
  getMetadataArgsStorage().indices.push({ target: target.constructor, columns: [propertyName], unique });
}

function designType(target: object, property: string | symbol): unknown {
  const reflect = Reflect as {
    getMetadata?: (key: string, target: object, property: string | symbol) => unknown;
  };
  return reflect.getMetadata?.('design:type', target, property);
}
