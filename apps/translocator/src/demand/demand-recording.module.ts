import { Injectable, Module, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';

import { Clock } from '#clock';
import { DemandRecorder, DemandStore, ObservationBuffer } from '#demand';
import { type Logger, Metrics } from '#telemetry';

import { Settings } from '../foundation/settings.js';
import { LOGGER } from '../foundation/tokens.js';

/** Runs the recorder while the service runs; what was observed is merged before it ends. */
@Injectable()
class DemandRecording implements OnApplicationBootstrap, OnApplicationShutdown {
  constructor(private readonly recorder: DemandRecorder) {}

  onApplicationBootstrap(): void {
    this.recorder.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.recorder.stop();
  }
}

/** Counts the pulls that this process answers, and merges them into the database every few seconds. */
@Module({
  providers: [{ provide: DemandRecorder, useFactory: demandRecorder, inject: [DemandStore, Clock, Settings, Metrics, LOGGER] }, DemandRecording],
  exports: [DemandRecorder],
})
export class DemandRecordingModule {}

function demandRecorder(...[store, clock, { config }, metrics, logger]: [DemandStore, Clock, Settings, Metrics, Logger]): DemandRecorder {
  const buffer = new ObservationBuffer({ halfLifeMs: config.demand.halfLife });
  let lostKeys = 0;
  return new DemandRecorder({
    buffer,
    store,
    clock,
    flushEveryMs: config.demand.flushEvery,
    onFlush: (flush) => {
      metrics.observationsDropped.inc(buffer.losses.keys - lostKeys);
      lostKeys = buffer.losses.keys;
      if ('error' in flush) logger.warn({ error: flush.error }, 'observed pulls could not be merged yet; they are kept');
    },
  });
}
