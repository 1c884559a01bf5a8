import type { TrailEntry } from '../trail.js';
import { type TrailQuery, TrailStore } from '../trail-store.js';

/** The trail in memory. */
export class MemoryTrailStore extends TrailStore {
  readonly #entries = new Map<string, TrailEntry>();

  async begin(entry: Omit<TrailEntry, 'status'>): Promise<void> {
    this.#entries.set(entry.id, entry);
  }

  async end(id: string, status: number): Promise<void> {
    const entry = this.#entries.get(id);
    if (entry !== undefined && entry.status === undefined) this.#entries.set(id, { ...entry, status });
  }

  async list({ actor, from, until, after, limit }: TrailQuery): Promise<readonly TrailEntry[]> {
    return this.#newestFirst()
      .filter((entry) => actor === undefined || entry.actor === actor)
      .filter((entry) => (from === undefined || entry.at >= from) && (until === undefined || entry.at < until))
      .filter((entry) => after === undefined || newer(after, entry) < 0)
      .slice(0, limit);
  }

  async prune({ before, keepMax, limit }: { readonly before: Date; readonly keepMax: number; readonly limit: number }): Promise<number> {
    const gone = this.#newestFirst().filter((entry, place) => entry.at < before || place >= keepMax).toReversed().slice(0, limit);
    for (const { id } of gone) this.#entries.delete(id);
    return gone.length;
  }

  #newestFirst(): TrailEntry[] {
    return [...this.#entries.values()].toSorted(newer);
  }
}

function newer(a: Pick<TrailEntry, 'at' | 'id'>, b: Pick<TrailEntry, 'at' | 'id'>): number {
  return b.at.getTime() - a.at.getTime() || (a.id < b.id ? 1 : a.id > b.id ? -1 : 0);
}
