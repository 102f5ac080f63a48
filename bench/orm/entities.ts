/** Two tables in three ways: encrypted, plain with the same physical columns and indexes, plain text. */
import 'reflect-metadata';
import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
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

/** The card of an owner, loaded with it. Without a constraint, since tables of cards are truncated. */
const EAGER = { eager: true, createForeignKeyConstraints: false } as const;

@Entity('encrypted_owners')
export class EncryptedOwner {
  @PrimaryColumn('uuid') id!: string;
  @Encrypted({ purpose: PURPOSE, blindIndex: true }) email!: string;
  @ManyToOne(() => EncryptedCard, EAGER) @JoinColumn({ name: 'card_id' }) card!: EncryptedCard;
}

@Entity('plain_owners')
export class PlainOwner {
  @PrimaryColumn('uuid') id!: string;
  @Column('bytea') email!: Buffer;
  @Index() @Column('uuid', { select: false }) email_key!: string;
  @Index() @Column('bytea', { select: false }) email_bidx!: Buffer;
  @ManyToOne(() => PlainCard, EAGER) @JoinColumn({ name: 'card_id' }) card!: PlainCard;
}

@Entity('text_owners')
export class TextOwner {
  @PrimaryColumn('uuid') id!: string;
  @Index() @Column('text') email!: string;
  @ManyToOne(() => TextCard, EAGER) @JoinColumn({ name: 'card_id' }) card!: TextCard;
}
