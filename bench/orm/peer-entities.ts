/**
 * One table as fieldseal encrypts it, and as typeorm-encrypted does: authenticated, the same with what a search and a
 * change of keys need, and by the cipher of its README.
 */
import 'reflect-metadata';
import { randomBytes } from 'node:crypto';
import { Encrypted } from 'fieldseal/typeorm';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { EncryptionTransformer } from 'typeorm-encrypted';

export const PURPOSE = 'personal-data';

/** A hash to search by and the key of each cell beside it, with their indexes: more columns than the others have. */
@Entity('fieldseal_cards')
export class FieldSealCard {
  @PrimaryColumn('uuid') id!: string;
  @Encrypted({ purpose: PURPOSE, blindIndex: true }) pan!: string;
  @Encrypted({ purpose: PURPOSE }) holder!: string;
}

const key = randomBytes(32).toString('hex');
const gcm = new EncryptionTransformer({ key, algorithm: 'aes-256-gcm', ivLength: 12 });
const cbc = new EncryptionTransformer({ key, algorithm: 'aes-256-cbc', ivLength: 16 });

@Entity('gcm_cards')
export class GcmCard {
  @PrimaryColumn('uuid') id!: string;
  @Column({ type: 'varchar', transformer: gcm }) pan!: string;
  @Column({ type: 'varchar', transformer: gcm }) holder!: string;
}

/** With the columns and indexes that {@link FieldSealCard} has; who inserts fills them. */
@Entity('gcm_wide_cards')
export class GcmWideCard extends GcmCard {
  @Index() @Column('uuid', { select: false }) pan_key!: string;
  @Index() @Column('bytea', { select: false }) pan_hash!: Buffer;
  @Index() @Column('uuid', { select: false }) holder_key!: string;
}

@Entity('cbc_cards')
export class CbcCard {
  @PrimaryColumn('uuid') id!: string;
  @Column({ type: 'varchar', transformer: cbc }) pan!: string;
  @Column({ type: 'varchar', transformer: cbc }) holder!: string;
}
