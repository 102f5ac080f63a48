import { randomUUID } from 'node:crypto';
import {
  Column,
  CreateDateColumn,
  Entity,
  JoinColumn,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  type Relation,
} from 'typeorm';
import { Encrypted } from 'fieldseal/typeorm';
import { Charge } from './charge.js';
import { Customer } from './customer.js';

/**
 * A payment card. There is no blind index: its key would let the web tier find numbers by guessing. There is no CVV
 * either: it may not be stored after the authorisation, even encrypted (PCI DSS 3.3.1).
 */
@Entity('cards')
export class Card {
  @PrimaryColumn('uuid') id: string = randomUUID();

  @Encrypted({ purpose: 'card-number', bind: ['id'], mask: 'last4' }) pan!: string;
  /** The last four digits, in the clear: what the web tier may show. */
  readonly panMask?: string | null;

  /** `MM/YY` */
  @Encrypted({ purpose: 'card-number', bind: ['id'] }) expires!: string;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' }) readonly createdAt!: Date;

  @Column('uuid', { name: 'customer_id' }) customerId!: string;

  @ManyToOne(() => Customer, (customer) => customer.cards, { nullable: false })
  @JoinColumn({ name: 'customer_id' })
  customer!: Relation<Customer>;

  @OneToMany(() => Charge, (charge) => charge.card)
  charges!: Relation<Charge[]>;
}
