import { randomUUID } from 'node:crypto';
import { CreateDateColumn, Entity, OneToMany, PrimaryColumn, type Relation } from 'typeorm';
import { Encrypted } from 'fieldseal/typeorm';
import { Card } from './card.js';

/** A customer. The web tier writes personal data and shows none of it again. */
@Entity('customers')
export class Customer {
  /** Made here and not by the database: cells are bound to it, and the web tier reads nothing back. */
  @PrimaryColumn('uuid') id: string = randomUUID();

  @Encrypted({ purpose: 'personal-data', bind: ['id'] }) name!: string;
  @Encrypted({ purpose: 'personal-data', bind: ['id'] }) email!: string;
  @Encrypted({ purpose: 'personal-data', bind: ['id'] }) phone!: string;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' }) readonly createdAt!: Date;

  @OneToMany(() => Card, (card) => card.customer)
  cards!: Relation<Card[]>;
}
