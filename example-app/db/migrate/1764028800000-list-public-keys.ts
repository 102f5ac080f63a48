import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Signed lists of public keys, one for each purpose of sealed delivery; empty where there is none. */
export class ListPublicKeys1764028800000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      'CREATE TABLE "public_key_lists" ("purpose" text PRIMARY KEY, "list" text NOT NULL)',
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE "public_key_lists"');
  }
}
