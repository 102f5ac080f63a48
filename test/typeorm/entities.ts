/** The entities of the TypeORM tests: a shop with customers and cards, and one entity with a field of every type. */
import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { Column, Entity, JoinColumn, ManyToOne, OneToMany, PrimaryColumn, type Relation } from 'typeorm';
import { Encrypted } from '../../src/typeorm/index.js';

export interface Address {
  street: string;
  city?: string;
}

@Entity('customers')
export class Customer {
  @PrimaryColumn('uuid') id: string = randomUUID();
  @Column('text', { default: 'new' }) status!: string;
  @Encrypted({ purpose: 'personal-data', blindIndex: { normalize: (name: string) => name.toLowerCase() } })
  name!: string;
  @Encrypted({ purpose: 'personal-data', nullable: true }) phone!: string | null;
  @Encrypted({ purpose: 'personal-data', type: 'json', nullable: true }) address!: Address | null;
  @OneToMany('Card', 'customer', { cascade: true }) cards!: Relation<Card[]>;
}

@Entity('cards')
export class Card {
  @PrimaryColumn('uuid') id: string = randomUUID();
  @Column('text', { nullable: true }) note!: string | null;
  @Encrypted({ purpose: 'card-number', blindIndex: { unique: true }, bind: ['id'] }) pan!: string;
  @ManyToOne(() => Customer, (customer) => customer.cards, { nullable: true })
  @JoinColumn({ name: 'customer_id' })
  customer!: Customer | null;
}

@Entity('every_type')
export class EveryType {
  @PrimaryColumn('int') id!: number;
  @Encrypted({ purpose: 'personal-data', nullable: true }) text!: string | null;
  @Encrypted({ purpose: 'personal-data', type: 'number', nullable: true }) amount!: number | null;
  @Encrypted({ purpose: 'personal-data', type: 'bigint', nullable: true }) big!: bigint | null;
  @Encrypted({ purpose: 'personal-data', type: 'boolean', nullable: true }) flag!: boolean | null;
  @Encrypted({ purpose: 'personal-data', type: 'date', nullable: true }) born!: Date | null;
  @Encrypted({ purpose: 'personal-data', type: 'json', nullable: true }) extra!: unknown;
  @Encrypted({ purpose: 'personal-data', type: 'bytes', nullable: true }) photo!: Buffer | null;
  @Encrypted({
    purpose: 'personal-data',
    nullable: true,
    pad: 16,
    name: 'padded_cell',
    keyColumn: 'padded_by',
  })
  padded!: string | null;
}
