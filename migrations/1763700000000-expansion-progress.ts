import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Tells the feed how far expansions are, under a topic of its own: nothing is to be planned because of it. */
export class ExpansionProgress1763700000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TRIGGER expanded_layers_progressed AFTER UPDATE ON expanded_layers
      FOR EACH ROW WHEN (OLD.state = 'expanding' AND NEW.state = 'expanding' AND OLD.read_bytes <> NEW.read_bytes)
      EXECUTE FUNCTION record_change('progress', 'digest')`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP TRIGGER expanded_layers_progressed ON expanded_layers');
  }
}
