/** Entities of the concurrency suite. */
import 'reflect-metadata';
import { Column, Entity, PrimaryColumn, VersionColumn } from 'typeorm';
import { Encrypted } from '../../src/typeorm/index.js';
import { Card, Customer } from './entities.js';

/** Counts what was written to it, in its encrypted fields and in a plain one. */
@Entity('accounts')
export class Account {
  @PrimaryColumn('uuid') id!: string;
  @VersionColumn() version!: number;
  @Column('int') writes!: number;
  @Encrypted({ purpose: 'personal-data', type: 'number', bind: ['id'] }) balance!: number;
  @Encrypted({ purpose: 'card-number', blindIndex: true, bind: ['id'] }) pan!: string;
}

export const ENTITIES = [Customer, Card, Account];
