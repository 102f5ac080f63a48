/** One table in three ways: encrypted, plain with the same physical columns and indexes, plain text. */
import 'reflect-metadata';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { Encrypted } from '../../src/typeorm/index.js';

export const PURPOSE = 'personal-data';

@Entity('encrypted_cards')
export class EncryptedCard {
  @PrimaryColumn('uuid') id!: string;
  @Encrypted({ purpose: PURPOSE, blindIndex: true }) pan!: string;
  @Encrypted({ purpose: PURPOSE }) holder!: string;
}

/** Holds the very bytes of {@link EncryptedCard}; what differs is the work of fieldseal. */
@Entity('plain_cards')
export class PlainCard {
  @PrimaryColumn('uuid') id!: string;
  @Column('bytea') pan!: Buffer;
  @Index() @Column('uuid', { select: false }) pan_key!: string;
  @Index() @Column('bytea', { select: false }) pan_bidx!: Buffer;
  @Column('bytea') holder!: Buffer;
  @Index() @Column('uuid', { select: false }) holder_key!: string;
}

/** What the table would be without encryption: the searched column has an index. */
@Entity('text_cards')
export class TextCard {
  @PrimaryColumn('uuid') id!: string;
  @Index() @Column('text') pan!: string;
  @Column('text') holder!: string;
}
