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

  observed({ region, repository, image, at, client }: ObservedPull): void {
    this.#recorder.observe(client === undefined ? { region, repository, image, at } : { region, repository, image, at, clientHash: client });
    this.#observations.count(region, { region }, 1);
  }
}
