import { Module } from '@nestjs/common';
import { SchedulerRegistry } from '@nestjs/schedule';

import { after, Clock } from '#clock';
import { DeliveryStore, EVENTS_MAX, EventStore } from '#events';
import { MINUTE_MS } from '#quantities';
import { type Logger, Metrics } from '#telemetry';

import { AccessModule } from '../access/access.module.js';
import { Settings } from '../foundation/settings.js';
import { LOGGER } from '../foundation/tokens.js';
import { ClockedTasks } from '../work/clocked-tasks.js';
import { EventStreams } from './event-streams.js';
import { EventTelling } from './event-telling.js';
import { EventsController } from './events.controller.js';

/** How often events of long ago are forgotten, and how many at a time. */
const PRUNE_EVERY_MS = 10 * MINUTE_MS;
const PRUNE_ROWS_MAX = 10_000;

/** Tells others what happens: by a list, a stream and webhooks. */
@Module({
  imports: [AccessModule],
  controllers: [EventsController],
  providers: [
    { provide: EventStreams, useFactory: (events: EventStore, clock: Clock, metrics: Metrics, logger: Logger) => new EventStreams(events, clock, { metrics, logger }), inject: [EventStore, Clock, Metrics, LOGGER] },
    {
      provide: EventTelling,
      useFactory: (...[{ config, secrets }, events, deliveries, clock, metrics, logger]: [Settings, EventStore, DeliveryStore, Clock, Metrics, Logger]) =>
        new EventTelling({ webhooks: config.events.webhooks, secrets: secrets.webhookSecrets, events, deliveries, clock, metrics, logger }),
      inject: [Settings, EventStore, DeliveryStore, Clock, Metrics, LOGGER],
    },
    {
      provide: 'event pruning',
      useFactory: (...[schedules, { config }, events, clock, logger]: [SchedulerRegistry, Settings, EventStore, Clock, Logger]) =>
        new ClockedTasks(schedules, logger, [{ name: 'prune outward events', everyMs: PRUNE_EVERY_MS, run: (signal) => prune(events, () => after(clock.now(), -config.events.keep), signal) }]),
      inject: [SchedulerRegistry, Settings, EventStore, Clock, LOGGER],
    },
  ],
})
export class EventsModule {}

async function prune(events: EventStore, oldest: () => Date, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && (await events.prune({ before: oldest(), keepMax: EVENTS_MAX, limit: PRUNE_ROWS_MAX })) === PRUNE_ROWS_MAX);
}
