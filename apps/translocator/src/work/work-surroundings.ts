import type { Clock } from '#clock';
import type { Config } from '#config';
import type { Logger, Metrics } from '#telemetry';

import type { WorkSignals } from './work-signals.js';

/** What every loop and every clocked task of a process needs besides its own tools. */
export class WorkSurroundings {
  /** Names this process among all others: the owner of its claims. */
  readonly owner: string;
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly signals: WorkSignals;

  constructor(parts: Pick<WorkSurroundings, 'owner' | 'config' | 'clock' | 'logger' | 'metrics' | 'signals'>) {
    this.owner = parts.owner;
    this.config = parts.config;
    this.clock = parts.clock;
    this.logger = parts.logger;
    this.metrics = parts.metrics;
    this.signals = parts.signals;
  }
}
