import { Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { z } from 'zod';

import { type ReplicaEntry, ReplicaPage, ReplicaQuery } from '#contract';
import { type Digest, isDigest } from '#oci';
import { type Replica, ReplicaStore } from '#replication';

import { AdminApi, markOf, pageFrom, percentOf } from './admin-api.js';

const ReplicaMark = z.object({ layer: z.custom<Digest>((value) => typeof value === 'string' && isDigest(value)), share: z.string() });

/** What is where. */
@AdminApi('replicas', 'replicas')
export class ReplicasController {
  constructor(private readonly replicas: ReplicaStore) {}

  @Get()
  @ApiOperation({ summary: 'Replicas, by layer and share' })
  @ApiOkResponse({ standardSchema: ReplicaPage })
  async list(@Query({ schema: ReplicaQuery }) { cursor, limit, layer, share, state }: ReplicaQuery): Promise<z.infer<typeof ReplicaPage>> {
    const filter = { ...(layer === undefined ? {} : { layer }), ...(share === undefined ? {} : { share }), ...(state === undefined ? {} : { state }) };
    const rows = await this.replicas.page(markOf(cursor, ReplicaMark), limit + 1, filter);
    return pageFrom(rows, limit, { entry: toEntry, mark: (row) => ({ layer: row.layer, share: row.share }) });
  }
}

function toEntry(replica: Replica): ReplicaEntry {
  const { layer, share, state, sizeBytes, copiedBytes, priority, reason, wantedAt, readyAt, drainingSince, attempts, lastError } = replica;
  return {
    layer, share, region: share, state, sizeBytes, copiedBytes, priority, reason, attempts,
    percent: state === 'ready' || state === 'draining' ? 100 : percentOf(copiedBytes, sizeBytes),
    wantedAt: wantedAt.toISOString(),
    ...(readyAt === undefined ? {} : { readyAt: readyAt.toISOString() }),
    ...(drainingSince === undefined ? {} : { drainingSince: drainingSince.toISOString() }),
    ...(lastError === undefined ? {} : { lastError }),
  };
}
