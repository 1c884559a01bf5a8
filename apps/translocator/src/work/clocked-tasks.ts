import type { OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';
import type { SchedulerRegistry } from '@nestjs/schedule';

import type { Logger } from '#telemetry';

/** Something that is done by the clock. */
export interface ClockedTask {
  /** Unique in the process. */
  readonly name: string;
  readonly everyMs: number;
  /** Aborting `signal` asks it to end soon. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/** Repeats tasks while the service runs, each never twice at a time; what fails is logged, and tried again the next time. */
export class ClockedTasks implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #running = new Map<string, Promise<void>>();
  readonly #stopping = new AbortController();

  constructor(
    private readonly schedules: SchedulerRegistry,
    private readonly logger: Logger,
    private readonly tasks: readonly ClockedTask[],
  ) {}

  onApplicationBootstrap(): void {
    for (const task of this.tasks) this.schedules.addInterval(task.name, setInterval(() => this.#run(task), task.everyMs));
  }

  async onApplicationShutdown(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#running.values());
  }

  #run({ name, run }: ClockedTask): void {
    const { signal } = this.#stopping;
    if (this.#running.has(name) || signal.aborted) return;
    const running = run(signal)
      .catch((error: unknown) => {
        if (!signal.aborted) this.logger.warn({ error, task: name }, 'a task failed; it is tried again');
      })
      .finally(() => this.#running.delete(name));
    this.#running.set(name, running);
  }
}
