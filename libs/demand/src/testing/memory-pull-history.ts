import type { Digest } from '#oci';

import { demandKeyText } from '../demand-store.js';
import { type GoneImage, HISTORY_BATCH_AGE_MAX_MS, type HistoryBatch, type HistoryBounds, type HistoryEvent, type HistoryMark, type HistoryQuery, PullHistory } from '../history/pull-history.js';

interface Kept extends HistoryEvent {
  readonly sequence: number;
}

/** Whether an event is of a pin that holds beyond an instant. */
function holdsAt({ kind, until }: HistoryEvent, instant: Date): boolean {
  return kind === 'pin' && (until === undefined || until > instant);
}

/** History in memory: for tests, gone with the object. Pushes, deletions and pins are noted by hand. */
export class MemoryPullHistory extends PullHistory {
  readonly #batches = new Map<string, Date>();
  readonly #totals = new Map<string, { pulls: number; lastAt: Date }>();
  #events: Kept[] = [];
  #gone: (GoneImage & { readonly goneAt: Date })[] = [];
  #sequence = 0;

  /** Notes what no batch brings. */
  note(...events: readonly HistoryEvent[]): void {
    for (const event of events) this.#events.push({ ...event, sequence: (this.#sequence += 1) });
  }

  /** Notes an image that is gone. */
  noteGone(image: GoneImage, goneAt: Date): void {
    this.#gone.push({ ...image, goneAt });
  }

  async keep(batch: HistoryBatch, now: Date): Promise<'kept' | 'repeated' | 'expired'> {
    if (batch.closedAt.getTime() < now.getTime() - HISTORY_BATCH_AGE_MAX_MS) return 'expired';
    if (this.#batches.has(batch.batchId)) return 'repeated';
    this.#batches.set(batch.batchId, batch.closedAt);
    for (const { pulls, ...key } of batch.totals) {
      const total = this.#totals.get(demandKeyText(key));
      this.#totals.set(demandKeyText(key), { pulls: (total?.pulls ?? 0) + pulls, lastAt: batch.closedAt });
    }
    this.note(...batch.lines.map((line): HistoryEvent => ({ kind: 'pull', ...line })));
    return 'kept';
  }

  async totals(region: string, images: readonly { readonly repository: string; readonly digest: Digest }[]): Promise<number[]> {
    return images.map(({ repository, digest }) => this.#totals.get(demandKeyText({ region, repository, image: digest }))?.pulls ?? 0);
  }

  async events({ since, until, after, limit }: HistoryQuery): Promise<{ events: HistoryEvent[]; next?: HistoryMark }> {
    const follows = (event: Kept): boolean => after === undefined || event.at > after.at || (event.at.getTime() === after.at.getTime() && event.sequence > Number(after.sequence));
    const page = this.#events
      .map((event) => (event.at < since && since < until && holdsAt(event, since) ? { ...event, at: since } : event))
      .filter((event) => event.at >= since && event.at < until && follows(event))
      .toSorted((a, b) => a.at.getTime() - b.at.getTime() || a.sequence - b.sequence)
      .slice(0, limit);
    const last = page.at(-1);
    return { events: page.map(({ sequence: _sequence, ...event }) => event), ...(last === undefined || page.length < limit ? {} : { next: { at: last.at, sequence: String(last.sequence) } }) };
  }

  async goneImages(after: { readonly repository: string; readonly digest: Digest } | undefined, limit: number): Promise<GoneImage[]> {
    const key = ({ repository, digest }: { readonly repository: string; readonly digest: Digest }): string => `${repository} ${digest}`;
    return this.#gone
      .filter((image) => after === undefined || key(image) > key(after))
      .toSorted((a, b) => (key(a) < key(b) ? -1 : 1))
      .slice(0, limit)
      .map(({ goneAt: _goneAt, ...image }) => image);
  }

  async prune({ before, eventsMax, totalsBefore, now }: HistoryBounds, limit: number): Promise<number> {
    const over = this.#events.filter((event) => (event.at < before && !holdsAt(event, before)) || (event.sequence <= this.#sequence - eventsMax && !holdsAt(event, now))).slice(0, limit);
    this.#events = this.#events.filter((event) => !over.includes(event));
    this.#gone = this.#gone.filter(({ goneAt }) => goneAt >= before);
    for (const [key, { lastAt }] of this.#totals) if (lastAt < totalsBefore) this.#totals.delete(key);
    for (const [id, closedAt] of this.#batches) if (closedAt.getTime() < now.getTime() - 2 * HISTORY_BATCH_AGE_MAX_MS) this.#batches.delete(id);
    return over.length;
  }
}
