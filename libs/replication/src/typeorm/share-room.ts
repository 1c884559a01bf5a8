import type { DataSource, EntityManager } from 'typeorm';

import { decidingNow } from '#claims/typeorm';

/** Held until the transaction ends: whoever adds bytes to a share stands in line. */
export async function lockCapacity(manager: EntityManager, share: string): Promise<void> {
  await manager.query(`SELECT pg_advisory_xact_lock(hashtextextended('capacity of ' || $1, 0))`, [share]);
}

/** Bytes of all replicas of a share that are not gone. */
export async function replicaBytes(db: DataSource | EntityManager, share: string): Promise<number> {
  const rows = await db.query<{ bytes: string }[]>('SELECT coalesce(sum(size_bytes), 0) AS bytes FROM replicas WHERE share = $1', [share]);
  return Number(rows[0]?.bytes);
}

/** Bytes reserved on a share, when {@link decidingNow} is given `decided`, for layers that it has no replica of; those of `exceptLayer` left out. */
export async function reservedBytes(db: DataSource | EntityManager, { share, decided, exceptLayer = '' }: { readonly share: string; readonly decided: Date | null; readonly exceptLayer?: string }): Promise<number> {
  const rows = await db.query<{ bytes: string }[]>(
    `SELECT coalesce(sum(bytes), 0) AS bytes FROM room_reservations
     WHERE share = $1 AND reserved_until > ${decidingNow('$2')} AND layer <> $3
       AND NOT EXISTS (SELECT FROM replicas WHERE replicas.layer = room_reservations.layer AND replicas.share = $1)`,
    [share, decided, exceptLayer],
  );
  return Number(rows[0]?.bytes);
}

/** Whether nothing is to be ordered onto a share; asked under {@link lockCapacity}, it stays so until the transaction ends. */
export async function isDraining(manager: EntityManager, share: string): Promise<boolean> {
  const rows = await manager.query<unknown[]>('SELECT true AS draining FROM share_drains WHERE share = $1', [share]);
  return rows.length > 0;
}
