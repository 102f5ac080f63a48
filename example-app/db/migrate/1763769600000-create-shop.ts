import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * As TypeORM's migration:generate writes it. A cell is bytea; beside it stand its fingerprint (uuid, indexed, so that
 * rows per key are one GROUP BY) and its blind index (bytea, unique where the field is).
 */
const UP = [
  `CREATE TABLE "customers" ("id" uuid NOT NULL, "name" bytea NOT NULL, "name_key" uuid NOT NULL, "name_bidx" bytea NOT NULL, "address" bytea, "address_key" uuid, CONSTRAINT "PK_133ec679a801fab5e070f73d3ea" PRIMARY KEY ("id"))`,
  `CREATE INDEX "IDX_d4b23566ce0986a2b53eede8c8" ON "customers" ("name_key")`,
  `CREATE INDEX "IDX_63c82efcf93abb323bcbf77b9f" ON "customers" ("name_bidx")`,
  `CREATE INDEX "IDX_91fc202523774fd1e121b0d38a" ON "customers" ("address_key")`,
  `CREATE TABLE "cards" ("id" uuid NOT NULL, "pan" bytea NOT NULL, "pan_key" uuid NOT NULL, "pan_bidx" bytea NOT NULL, "expires" character(5) NOT NULL, "customer_id" uuid NOT NULL, CONSTRAINT "PK_5f3269634705fdff4a9935860fc" PRIMARY KEY ("id"))`,
  `CREATE INDEX "IDX_9a52311362c4920d7c7abf4fd5" ON "cards" ("pan_key")`,
  `CREATE UNIQUE INDEX "IDX_65a69fb047ccb3940a6ae7de78" ON "cards" ("pan_bidx")`,
  `ALTER TABLE "cards" ADD CONSTRAINT "FK_2fd0ee722ec57594d2e448c73d7" FOREIGN KEY ("customer_id") REFERENCES "customers"("id")`,
];

export class CreateShop1763769600000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE "cards"');
    await queryRunner.query('DROP TABLE "customers"');
  }
}
