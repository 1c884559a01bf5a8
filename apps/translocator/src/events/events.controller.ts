import { Get, Query, Req, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';

import { CloudEventBody, EventListQuery, EventPage, EventStreamQuery } from '#contract';
import { EventStore, type OutwardEvent, parsePosition, positionText, toCloudEvent } from '#events';

import { AdminApi, invalidField, markOf, pageFrom } from '../admin/admin-api.js';
import { EventStreams } from './event-streams.js';

const EventMark = z.object({ transaction: z.string().regex(/^\d{1,19}$/), sequence: z.string().regex(/^\d{1,19}$/) });

/** What happened, to be read again and to be followed. */
@AdminApi('events', 'events')
export class EventsController {
  constructor(
    private readonly events: EventStore,
    private readonly streams: EventStreams,
  ) {}

  @Get()
  @ApiOperation({ summary: 'What happened, the newest first, as CloudEvents', description: 'Kept for events.keep, and at most a million of them.' })
  @ApiOkResponse({ standardSchema: EventPage })
  async list(@Query({ schema: EventListQuery }) { cursor, limit, type }: EventListQuery): Promise<z.infer<typeof EventPage>> {
    const rows = await this.events.before(markOf(cursor, EventMark), { types: type === undefined ? undefined : [type].flat(), limit: limit + 1 });
    return pageFrom(rows, limit, { entry: toBody, mark: ({ position }) => position });
  }

  @Get('stream')
  @ApiOperation({
    summary: 'What happens from now on, as server-sent events',
    description: 'Each message has the CloudEvent as its data, its type as its event, and an id. A client that comes again with Last-Event-ID, or with after in the query, goes on where it was; without, it begins now. A comment is sent every 15 seconds. A listener that does not read is cut.',
  })
  @ApiOkResponse({ description: 'Messages without end.', content: { 'text/event-stream': { schema: { type: 'string' } } } })
  async stream(@Query({ schema: EventStreamQuery }) { after, type }: EventStreamQuery, @Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const last = request.headers['last-event-id'];
    const from = typeof last === 'string' && last !== '' ? last : after;
    const position = from === undefined ? undefined : parsePosition(from);
    if (from !== undefined && position === undefined) throw invalidField(from === after ? '/after' : 'Last-Event-ID', from, 'must be the id of an event of this stream');
    await this.streams.serve(request, reply, { from: position, types: type === undefined ? undefined : [type].flat() });
  }
}

function toBody(event: OutwardEvent): CloudEventBody {
  return { ...toCloudEvent(event), position: positionText(event.position) };
}
