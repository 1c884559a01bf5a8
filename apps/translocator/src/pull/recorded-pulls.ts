import type { DemandRecorder } from '#demand';
import { type ObservedPull, PullObserver } from '#mounts';
import type { Metrics } from '#telemetry';

/** Hands answered pulls to demand. */
export class RecordedPulls extends PullObserver {
  constructor(
    private readonly recorder: DemandRecorder,
    private readonly metrics: Metrics,
  ) {
    super();
  }

  observed({ client, ...pull }: ObservedPull): void {
    this.recorder.observe({ ...pull, ...(client === undefined ? {} : { clientHash: client }) });
    this.metrics.observations.inc({ region: pull.region });
  }
}
