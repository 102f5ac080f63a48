import { randomUUID } from 'node:crypto';
import { Entity, OneToMany, PrimaryColumn, type Relation } from 'typeorm';
import { Encrypted } from 'fieldseal/typeorm';
import { Card } from './card.js';

/** A customer's personal data. Names are searched for regardless of case; nothing else is searched for. */
@Entity('customers')
export class Customer {
  @PrimaryColumn('uuid') id: string = randomUUID();

  @Encrypted({
    purpose: 'personal-data',
    bind: ['id'],
    blindIndex: { normalize: (name: string) => name.toLowerCase() },
  })
  name!: string;

  @Encrypted({ purpose: 'personal-data', bind: ['id'], type: 'json', nullable: true })
  address!: { street: string; city: string } | null;

  @OneToMany(() => Card, (card) => card.customer, { cascade: true })
  cards!: Relation<Card[]>;
}
