import type { MigrationInterface, QueryRunner } from 'typeorm';

/** A charge whose key is out of reach waits its time, and those behind it do not wait with it. */
export class SetChargesAside1764115200000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      'ALTER TABLE "charges" ADD COLUMN "next_attempt_at" timestamptz NOT NULL DEFAULT now()',
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE "charges" DROP COLUMN "next_attempt_at"');
  }
}
