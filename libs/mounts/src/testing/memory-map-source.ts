import { keyOf, type MapKey, type MapRow, type MapTopic } from '../map-row.js';
import { type MapChange, type MapChanges, MapSource } from '../map-source.js';

/** The calls of a map source that can be made to fail, or be watched. */
export type MapSourceCall = 'position' | 'load' | 'changesAfter' | 'read';

/** Rows in memory with an ordered feed of their changes, whose beginning can be lost. */
export class MemoryMapSource extends MapSource<number> {
  /** Rows in one page of a load. */
  pageSize = 2;
  /** Called before each call is answered, for each page in the case of `load`; throwing makes the call fail. */
  before: (call: MapSourceCall, topic?: MapTopic) => void = () => undefined;
  readonly #rows = new Map<string, MapRow>();
  readonly #changes: MapChange[] = [];
  #lostCount = 0;
  #hold: { readonly fromCount: number; readonly ageMs: () => number } | undefined;

  /** Writes rows, each with its change. */
  write(...rows: readonly MapRow[]): void {
    for (const row of rows) {
      this.#rows.set(textOf(row.topic, keyOf(row)), row);
      this.tell(row.topic, keyOf(row));
    }
  }

  /** Deletes a row, with its change. */
  delete(topic: MapTopic, key: MapKey): void {
    this.#rows.delete(textOf(topic, key));
    this.tell(topic, key);
  }

  /** Tells a change without changing anything: one that comes twice, late, or of another topic. */
  tell(topic: string, key: MapKey): void {
    this.#changes.push({ topic, key });
  }

  /** Loses every change that has been told until now. */
  loseChanges(): void {
    this.#lostCount = this.#changes.length;
  }

  /** From the next change on holds all of them back, as a long transaction does; `ageMs` says how old the first of them is. */
  holdBack(ageMs: () => number): void {
    this.#hold = { fromCount: this.#changes.length, ageMs };
  }

  /** Tells what was held back, and holds back nothing more. */
  letGo(): void {
    this.#hold = undefined;
  }

  /** Every row there is now. */
  get rows(): MapRow[] {
    return [...this.#rows.values()];
  }

  async position(): Promise<number> {
    this.before('position');
    return this.#hold?.fromCount ?? this.#changes.length;
  }

  async *load(topic: MapTopic): AsyncIterable<readonly MapRow[]> {
    const keys = [...this.#rows].filter(([, row]) => row.topic === topic).map(([key]) => key);
    for (let begin = 0; begin < keys.length; begin += this.pageSize) {
      this.before('load', topic);
      yield keys.slice(begin, begin + this.pageSize).flatMap((key) => this.#rows.get(key) ?? []);
    }
  }

  async changesAfter(position: number, limit: number): Promise<MapChanges<number>> {
    this.before('changesAfter');
    const from = Math.max(position, this.#lostCount);
    const end = Math.max(from, this.#hold?.fromCount ?? this.#changes.length);
    const changes = this.#changes.slice(from, Math.min(from + limit, end));
    const heldBackMs = this.#hold !== undefined && this.#changes.length > end ? this.#hold.ageMs() : undefined;
    return { changes, position: from + changes.length, gap: position < this.#lostCount, heldBackMs };
  }

  async read(topic: MapTopic, keys: readonly MapKey[]): Promise<readonly MapRow[]> {
    this.before('read', topic);
    return keys.flatMap((key) => this.#rows.get(textOf(topic, key)) ?? []);
  }
}

function textOf(topic: MapTopic, key: MapKey): string {
  return JSON.stringify([topic, ...key]);
}
