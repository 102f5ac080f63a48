/** The entity that both tiers know. */
import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { Column, Entity, PrimaryColumn } from 'typeorm';
import { Encrypted } from '../../src/typeorm/index.js';

@Entity('cards')
export class Card {
  @PrimaryColumn('uuid') id: string = randomUUID();
  @Column('int') serial!: number;
  @Encrypted({
    purpose: 'card-number',
    blindIndex: { unique: true, later: true },
    mask: 'last4',
    control: 'keyed-hash',
    bind: ['id'],
  })
  pan!: string;
  @Encrypted({ purpose: 'personal-data' }) holder!: string;
  panMask?: string | null;
}

/** Values of row `serial`, which tests recognise. */
export const panOf = (serial: number): string => String(4_000_000_000_000_000 + serial);
export const holderOf = (serial: number): string => `Holder of card ${serial}`;
export const newCard = (serial: number): Card =>
  Object.assign(new Card(), { serial, pan: panOf(serial), holder: holderOf(serial) });
