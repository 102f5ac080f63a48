import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * As TypeORM's migration:generate writes it. A cell is bytea; beside it stand its fingerprint (uuid, indexed, so that
 * rows per key are one GROUP BY) and, for the card number, its mask.
 */
const UP = [
  `CREATE TABLE "customers" ("id" uuid NOT NULL, "name" bytea NOT NULL, "name_key" uuid NOT NULL, "email" bytea NOT NULL, "email_key" uuid NOT NULL, "phone" bytea NOT NULL, "phone_key" uuid NOT NULL, "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(), CONSTRAINT "PK_133ec679a801fab5e070f73d3ea" PRIMARY KEY ("id"))`,
  `CREATE INDEX "IDX_d4b23566ce0986a2b53eede8c8" ON "customers" ("name_key")`,
  `CREATE INDEX "IDX_22b347000d59c1f1a0447c617d" ON "customers" ("email_key")`,
  `CREATE INDEX "IDX_8bcf2bfbb281b6df294f279ff3" ON "customers" ("phone_key")`,
  `CREATE TABLE "cards" ("id" uuid NOT NULL, "pan" bytea NOT NULL, "pan_key" uuid NOT NULL, "pan_mask" character varying(32) NOT NULL, "expires" bytea NOT NULL, "expires_key" uuid NOT NULL, "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(), "customer_id" uuid NOT NULL, CONSTRAINT "PK_5f3269634705fdff4a9935860fc" PRIMARY KEY ("id"))`,
  `CREATE INDEX "IDX_9a52311362c4920d7c7abf4fd5" ON "cards" ("pan_key")`,
  `CREATE INDEX "IDX_944faa5306e21340f7b6296a5d" ON "cards" ("expires_key")`,
  `CREATE TABLE "charges" ("id" uuid NOT NULL, "card_id" uuid NOT NULL, "amount_cents" integer NOT NULL, "state" character varying(16) NOT NULL DEFAULT 'pending', "reason" character varying(64), "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(), CONSTRAINT "PK_0c6feb10df0fa460714f8464dce" PRIMARY KEY ("id"))`,
  `ALTER TABLE "cards" ADD CONSTRAINT "FK_2fd0ee722ec57594d2e448c73d7" FOREIGN KEY ("customer_id") REFERENCES "customers"("id")`,
  `ALTER TABLE "charges" ADD CONSTRAINT "FK_30a74a3025abcc43350ce61f713" FOREIGN KEY ("card_id") REFERENCES "cards"("id")`,
];

export class CreateShop1763769600000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const table of ['charges', 'cards', 'customers']) await queryRunner.query(`DROP TABLE "${table}"`);
  }
}
