/** Entities with every kind of encrypted column, for the grants of their tables. */
import 'reflect-metadata';
import { Column, DataSource, Entity, PrimaryColumn, PrimaryGeneratedColumn } from 'typeorm';
import { Encrypted } from '../../src/typeorm/index.js';

@Entity('cards')
export class Card {
  @PrimaryGeneratedColumn() id!: number;
  @Column('text', { default: 'new' }) status!: string;
  @Encrypted({
    purpose: 'card-number',
    blindIndex: true,
    mask: 'last4',
    control: 'keyed-hash',
  })
  pan!: string;
  @Encrypted({ purpose: 'card-number', blindIndex: true, nullable: true }) token!: string | null;
}

@Entity('people', { schema: 'hr' })
export class Person {
  @PrimaryColumn('uuid') id!: string;
  @Column('text', { nullable: true, name: 'Odd Note' }) note!: string | null;
  @Encrypted({ purpose: 'personal-data', blindIndex: true, nullable: true }) email!: string | null;
}

@Entity('ledger')
export class Ledger {
  @PrimaryGeneratedColumn() id!: number;
  @Column('text', { nullable: true }) note!: string | null;
  @Encrypted({ purpose: 'reports', blindIndex: true }) total!: string;
}

@Entity('plain')
export class Plain {
  @PrimaryGeneratedColumn() id!: number;
}

export const dataSource = (url: string): DataSource =>
  new DataSource({ type: 'postgres', url, entities: [Ledger, Card, Person, Plain] });
