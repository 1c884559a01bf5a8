import { Injectable, Module, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';

import { Clock } from '#clock';
import { DemandRecorder, DemandStore, HistoryRecorder, ObservationBuffer, PullHistory } from '#demand';
import { type Logger, Metrics } from '#telemetry';

import { Settings } from '../foundation/settings.js';
import { LOGGER } from '../foundation/tokens.js';

/** Runs the recorders while the service runs; what was observed is merged and kept before it ends. */
@Injectable()
class DemandRecording implements OnApplicationBootstrap, OnApplicationShutdown {
  constructor(
    private readonly recorder: DemandRecorder,
    private readonly history: HistoryRecorder,
  ) {}

  onApplicationBootstrap(): void {
    this.recorder.start();
    this.history.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([this.recorder.stop(), this.history.stop()]);
  }
}

/** Counts the pulls that this process answers, and merges them into the database every few seconds. */
@Module({
  providers: [
    { provide: DemandRecorder, useFactory: demandRecorder, inject: [DemandStore, HistoryRecorder, Clock, Settings, Metrics, LOGGER] },
    { provide: HistoryRecorder, useFactory: historyRecorder, inject: [PullHistory, Clock, Settings, LOGGER] },
    DemandRecording,
  ],
  exports: [DemandRecorder],
})
export class DemandRecordingModule {}

function historyRecorder(history: PullHistory, clock: Clock, { config }: Settings, logger: Logger): HistoryRecorder {
  const onFailure = (error: unknown): void => logger.warn({ error }, 'pulls could not be written to the history yet; they are kept');
  return new HistoryRecorder({ history, clock, flushEveryMs: config.demand.flushEvery, tell: config.history.pulls, onFailure });
}

function demandRecorder(...[store, history, clock, { config }, metrics, logger]: [DemandStore, HistoryRecorder, Clock, Settings, Metrics, Logger]): DemandRecorder {
  const buffer = new ObservationBuffer();
  let lostKeys = 0;
  return new DemandRecorder({
    buffer,
    store,
    clock,
    flushEveryMs: config.demand.flushEvery,
    onCounted: (observation) => history.record(observation),
    onFlush: (flush) => {
      metrics.observationsDropped.inc(buffer.losses.keys - lostKeys);
      lostKeys = buffer.losses.keys;
      if ('error' in flush) logger.warn({ error: flush.error }, 'observed pulls could not be merged yet; they are kept');
    },
  });
}
