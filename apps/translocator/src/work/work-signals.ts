import { EventEmitter } from 'node:events';

/** Tells the loops of this process that there may be work. Only a shortcut: what it does not reach, or what another process wants, is found at the next poll. */
export class WorkSignals {
  readonly #events = new EventEmitter<{ examinations: []; layers: []; replicas: [] }>();

  /** References are waiting to be examined, or repositories to be backfilled. */
  examinationsWanted(): void {
    this.#events.emit('examinations');
  }

  /** Layers are waiting to be expanded. */
  layersWanted(): void {
    this.#events.emit('layers');
  }

  /** Replicas are waiting to be copied or removed. */
  replicasOrdered(): void {
    this.#events.emit('replicas');
  }

  /** Has `wake` called on every signal of a kind, for as long as the process lives. */
  on(kind: 'examinations' | 'layers' | 'replicas', wake: () => void): void {
    this.#events.on(kind, wake);
  }
}
