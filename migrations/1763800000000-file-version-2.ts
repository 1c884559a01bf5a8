import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The hash trees of expanded files, and merged views: rows among the expanded layers that name the layers they stack, and images that name their view. */
export class FileVersion21763800000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      ALTER TABLE expanded_layers
        ADD COLUMN verity_root_hash text,
        ADD COLUMN verity_hash_offset bigint,
        ADD COLUMN stacks text[],
        ADD CONSTRAINT hash_tree_whole CHECK ((verity_root_hash IS NULL) = (verity_hash_offset IS NULL))`);
    await db.query(`CREATE INDEX expanded_layers_views_wanted ON expanded_layers USING gin (stacks) WHERE stacks IS NOT NULL AND state = 'wanted'`);
    await db.query('ALTER TABLE images ADD COLUMN view_digest text COLLATE "C"');
    await db.query('CREATE INDEX images_by_view ON images (view_digest, repository) WHERE view_digest IS NOT NULL');
    await db.query(`
      CREATE TRIGGER image_view_changes AFTER UPDATE ON images
      FOR EACH ROW WHEN (OLD.view_digest IS DISTINCT FROM NEW.view_digest AND OLD.pushed_at IS NOT DISTINCT FROM NEW.pushed_at)
      EXECUTE FUNCTION record_change('image', 'repository', 'digest')`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query('DROP TRIGGER image_view_changes ON images');
    await db.query('ALTER TABLE images DROP COLUMN view_digest');
    // Views are unknown to what runs on the older schema: their replicas would be copies of no layer. Their files stay on the shares.
    await db.query('DELETE FROM replicas WHERE layer IN (SELECT digest FROM expanded_layers WHERE stacks IS NOT NULL)');
    await db.query('DELETE FROM expanded_layers WHERE stacks IS NOT NULL');
    await db.query('ALTER TABLE expanded_layers DROP CONSTRAINT hash_tree_whole, DROP COLUMN verity_root_hash, DROP COLUMN verity_hash_offset, DROP COLUMN stacks');
  }
}
