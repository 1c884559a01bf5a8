import { Readable } from 'node:stream';

import { Get, Query, StreamableFile } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';

import { Clock } from '#clock';
import { HistoryExportQuery } from '#contract';

import { AdminApi, invalidField } from '../admin/admin-api.js';
import { ExportedHistory } from './exported-history.js';

/** What a line of an export holds. */
const LINE = { type: 'object' as const, description: 'One JSON object a line: an image, an event, or, for the regions, the only one.' };

/** What happened here, for replays. */
@AdminApi('history', 'history')
export class HistoryController {
  constructor(
    private readonly exported: ExportedHistory,
    private readonly clock: Clock,
  ) {}

  @Get('export')
  @ApiOperation({ summary: 'What happened, in the formats that `npm run replay` reads', description: 'Streamed. Pulls are in it only while `history.pulls` is on.' })
  @ApiOkResponse({ content: { 'application/x-ndjson': { schema: LINE } } })
  async export(@Query({ schema: HistoryExportQuery }) { kind, since, until, limit }: HistoryExportQuery): Promise<StreamableFile> {
    const part = { since: since === undefined ? new Date(0) : new Date(since), until: until === undefined ? this.clock.now() : new Date(until), limit };
    if (part.since >= part.until) throw invalidField('/since', since, 'must lie before until, which is now where it is not given');
    const name = kind === 'regions' ? 'regions.json' : `${kind}.jsonl`;
    return new StreamableFile(await this.#lines(kind, part), { type: 'application/x-ndjson', disposition: `attachment; filename="${name}"` });
  }

  async #lines(kind: HistoryExportQuery['kind'], part: Parameters<ExportedHistory['events']>[0]): Promise<Readable> {
    if (kind === 'regions') return Readable.from([await this.exported.regions()]);
    return Readable.from(kind === 'catalog' ? this.exported.catalogue() : this.exported.events(part));
  }
}
