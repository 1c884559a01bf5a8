import { z } from 'zod';

import { EVENT_TYPES } from '#events';

import { pageOf, pageParameters } from './page.js';
import { Id, Instant } from './words.js';

/** Types of events that go out. */
export const EventTypeName = z.enum(EVENT_TYPES);

/** An event as CloudEvents 1.0 writes it. */
export const CloudEventBody = z
  .object({
    specversion: z.literal('1.0'),
    id: Id.meta({ description: 'The same however often the event is told.' }),
    source: z.string().max(100),
    type: EventTypeName,
    subject: z.string().max(400).meta({ description: 'What it happened to: a layer’s digest, repository@digest, or a region.' }),
    time: Instant,
    datacontenttype: z.literal('application/json'),
    data: z.record(z.string().max(60), z.unknown()).meta({ description: 'By the type: layer, region, sizeBytes; for image.ready repository, digest, region and tags.' }),
    position: z.string().max(60).meta({ description: 'Where a stream goes on after it: Last-Event-ID.' }),
  })
  .meta({ description: 'Something that happened.' });

const types = z.union([EventTypeName, z.array(EventTypeName).max(EventTypeName.options.length)]).optional().meta({ description: 'Only this type; may be named several times.' });

/** Which events to list. */
export const EventListQuery = z.strictObject({ ...pageParameters, type: types });

/** Which events to stream. */
export const EventStreamQuery = z.strictObject({ after: z.string().max(60).optional().meta({ description: 'The position after which to begin; Last-Event-ID wins over it.' }), type: types });

/** Some events. */
export const EventPage = pageOf(CloudEventBody);

/** See {@link CloudEventBody}. */
export type CloudEventBody = z.infer<typeof CloudEventBody>;
/** See {@link EventListQuery}. */
export type EventListQuery = z.infer<typeof EventListQuery>;
/** See {@link EventStreamQuery}. */
export type EventStreamQuery = z.infer<typeof EventStreamQuery>;
