import { Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { z } from 'zod';

import { type TrailEntry, TrailStore } from '#access';
import { Id, type TrailEntryBody, TrailListQuery, TrailPage } from '#contract';

import { AdminApi, markOf, pageFrom } from './admin-api.js';

const TrailMark = z.object({ at: z.iso.datetime(), id: Id });

/** Who changed what, and when. */
@AdminApi('audit', 'audit')
export class TrailController {
  constructor(private readonly trail: TrailStore) {}

  @Get()
  @ApiOperation({ summary: 'Calls that changed something, or tried to, the newest first', description: 'Kept for 400 days, and at most 100,000 of them.' })
  @ApiOkResponse({ standardSchema: TrailPage })
  async list(@Query({ schema: TrailListQuery }) { cursor, limit, actor, from, until }: TrailListQuery): Promise<z.infer<typeof TrailPage>> {
    const mark = markOf(cursor, TrailMark);
    const rows = await this.trail.list({
      actor,
      from: from === undefined ? undefined : new Date(from),
      until: until === undefined ? undefined : new Date(until),
      after: mark === undefined ? undefined : { at: new Date(mark.at), id: mark.id },
      limit: limit + 1,
    });
    return pageFrom(rows, limit, { entry: toBody, mark: (row) => ({ at: row.at.toISOString(), id: row.id }) });
  }
}

function toBody({ at, ...entry }: TrailEntry): TrailEntryBody {
  return { ...entry, at: at.toISOString() };
}
