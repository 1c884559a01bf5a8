import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Who hears of layers that come and go in a region hears the end of what was ready there, and of nothing else: not of copies that were taken back, but of files that were lost. */
export class Evictions1765200000001 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query('DROP TRIGGER replicas_evicted ON replicas');
    await db.query(`
      CREATE TRIGGER replicas_evicted AFTER DELETE ON replicas
      FOR EACH ROW WHEN (OLD.state = 'draining' AND OLD.ready_at IS NOT NULL) EXECUTE FUNCTION tell_replica_evicted()`);
    await db.query(`
      CREATE TRIGGER replicas_lost AFTER UPDATE ON replicas
      FOR EACH ROW WHEN (OLD.state = 'ready' AND NEW.state = 'wanted') EXECUTE FUNCTION tell_replica_evicted()`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP TRIGGER replicas_lost ON replicas');
    await db.query('DROP TRIGGER replicas_evicted ON replicas');
    await db.query(`
      CREATE TRIGGER replicas_evicted AFTER DELETE ON replicas
      FOR EACH ROW WHEN (OLD.state = 'draining') EXECUTE FUNCTION tell_replica_evicted()`);
  }
}
