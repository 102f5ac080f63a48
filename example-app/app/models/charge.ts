import { randomUUID } from 'node:crypto';
import {
  Column,
  CreateDateColumn,
  Entity,
  JoinColumn,
  ManyToOne,
  PrimaryColumn,
  type Relation,
} from 'typeorm';
import { Card } from './card.js';

export const CHARGE_STATES = ['pending', 'charged', 'declined', 'failed'] as const;
export type ChargeState = (typeof CHARGE_STATES)[number];

/**
 * An order to charge a card, and the row of the queue at once: it is written in the transaction that writes the card,
 * so there is no card without its charge and no charge without its card.
 */
@Entity('charges')
export class Charge {
  /** The idempotency key at the acquirer as well: a charge that is sent twice is booked once. */
  @PrimaryColumn('uuid') id: string = randomUUID();

  @Column('uuid', { name: 'card_id' }) cardId!: string;

  @ManyToOne(() => Card, (card) => card.charges, { nullable: false })
  @JoinColumn({ name: 'card_id' })
  card!: Relation<Card>;

  @Column('integer', { name: 'amount_cents' }) amountCents!: number;

  /** Not named by an INSERT: who orders a charge, the web tier, may not say what became of it. */
  @Column({ type: 'varchar', length: 16, default: 'pending', insert: false })
  state: ChargeState = 'pending';

  /**
   * The acquirer's answer, or the code of the error for which the card was not charged; never a value. Not selected unless
   * asked for: the web tier may not read it.
   */
  @Column({ type: 'varchar', length: 64, nullable: true, insert: false, select: false })
  reason: string | null = null;

  /**
   * When a pending charge is to be looked at again; set by the payment tier alone. Its default is the migration's: of one
   * that stands here TypeORM reads the value back, which the web tier may not.
   */
  @Column({ type: 'timestamptz', name: 'next_attempt_at', insert: false, select: false })
  readonly nextAttemptAt!: Date;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' }) readonly createdAt!: Date;
}
