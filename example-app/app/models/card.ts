import { randomUUID } from 'node:crypto';
import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { Encrypted } from 'fieldseal/typeorm';
import { Customer } from './customer.js';

/** A payment card. One card number is stored once; the expiry date alone is no cardholder secret. */
@Entity('cards')
export class Card {
  @PrimaryColumn('uuid') id: string = randomUUID();

  @Encrypted({ purpose: 'card-number', bind: ['id'], blindIndex: { unique: true } })
  pan!: string;

  @Column('char', { length: 5 }) expires!: string;

  @ManyToOne(() => Customer, (customer) => customer.cards, { nullable: false })
  @JoinColumn({ name: 'customer_id' })
  customer!: Relation<Customer>;
}
