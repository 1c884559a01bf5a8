import type { DemandRecorder } from '#demand';
import { type ObservedPull, PullObserver } from '#mounts';
import type { Metrics } from '#telemetry';

import { ScrapedCounts } from './scraped-counts.js';

/** Hands answered pulls to demand. */
export class RecordedPulls extends PullObserver {
  readonly #recorder: DemandRecorder;
  readonly #observations: ScrapedCounts<{ region: string }>;

  constructor(recorder: DemandRecorder, metrics: Metrics) {
    super();
    this.#recorder = recorder;
    this.#observations = new ScrapedCounts<{ region: string }>(metrics, metrics.observations);
  }

  observed({ client, ...pull }: ObservedPull): void {
    this.#recorder.observe({ ...pull, ...(client === undefined ? {} : { clientHash: client }) });
    this.#observations.count(pull.region, { region: pull.region }, 1);
  }
}
