import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The queue: pending charges are found by an index of their own, and a new one is announced to whoever listens. PostgreSQL
 * sends the notice at COMMIT, so nobody is woken for a row that is not there yet. The notice carries nothing.
 */
const UP = [
  `CREATE INDEX "charges_pending" ON "charges" ("created_at", "id") WHERE "state" = 'pending'`,
  `CREATE FUNCTION announce_charge() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('charges', '');
  RETURN NULL;
END $$`,
  `CREATE TRIGGER "charges_announced" AFTER INSERT ON "charges" FOR EACH STATEMENT EXECUTE FUNCTION announce_charge()`,
];

export class QueueCharges1763856000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TRIGGER "charges_announced" ON "charges"');
    await queryRunner.query('DROP FUNCTION announce_charge()');
    await queryRunner.query('DROP INDEX "charges_pending"');
  }
}
