import { type AnsweringBeat, type AnsweringProcess, AnsweringProcesses, type AnsweringStanding, SILENCE_MAX_MS } from '../answering-processes.js';

interface Heard extends AnsweringBeat {
  readonly heardAtMs: number;
  readonly unleasedAtMs: number;
}

/** Processes that answer, in memory, by the clock of the callers. */
export class MemoryAnsweringProcesses extends AnsweringProcesses {
  /** What `restore` changes. */
  #identity = 0;
  #known: { readonly identity: number; readonly sinceMs: number } | undefined;
  readonly #processes = new Map<string, Heard>();
  /** Called before a beat is noted; throwing makes it fail. */
  beforeHeard: (beat: AnsweringBeat) => void = () => undefined;

  /** `isNew`: nobody was given anything before, so that something is known at once. */
  constructor({ isNew = false }: { readonly isNew?: boolean } = {}) {
    super();
    if (isNew) this.#known = { identity: this.#identity, sinceMs: Number.NEGATIVE_INFINITY };
  }

  /** Becomes a database that was restored from a backup: what is here stays, but nobody knows what was lost. */
  restore(): void {
    this.#identity += 1;
  }

  async heard(beat: AnsweringBeat, now: Date): Promise<void> {
    this.beforeHeard(beat);
    const nowMs = now.getTime();
    const lastMs = this.#lastMs();
    if (this.#known?.identity !== this.#identity || (this.#processes.size > 0 && nowMs - lastMs > SILENCE_MAX_MS)) this.#known = { identity: this.#identity, sinceMs: nowMs };
    const before = beat.predecessor === undefined ? undefined : this.#processes.get(beat.predecessor);
    if (before?.isEnded === true && !isUnleased(before, nowMs)) this.#processes.delete(before.id);
    const unleasedAtMs = beat.isUnleased ? nowMs : (this.#processes.get(beat.id)?.unleasedAtMs ?? Number.NEGATIVE_INFINITY);
    this.#processes.set(beat.id, { ...beat, heardAtMs: nowMs, unleasedAtMs });
  }

  async forget(id: string, now: Date): Promise<void> {
    const process = this.#processes.get(id);
    if (process !== undefined && !isUnleased(process, now.getTime())) this.#processes.set(id, { ...process, countsForMs: 0, isEnded: true });
  }

  async knownToAll(now: Date): Promise<bigint | undefined> {
    const nowMs = now.getTime();
    const counting = this.#counting(nowMs);
    const [first, ...others] = counting.map(({ knownTo }) => knownTo);
    const longestMs = Math.max(...counting.map(({ countsForMs }) => countsForMs));
    const isUnbroken = this.#known?.identity === this.#identity && nowMs - this.#known.sinceMs >= longestMs && nowMs - this.#lastMs() <= SILENCE_MAX_MS;
    if (first === undefined || !isUnbroken || counting.some((each) => isUnleased(each, nowMs))) return undefined;
    return others.reduce<bigint | undefined>((least, each) => (least === undefined || each === undefined ? undefined : each < least ? each : least), first);
  }

  async list(now: Date): Promise<readonly AnsweringProcess[]> {
    const listed = this.#counting(now.getTime()).toSorted((a, b) => a.heardAtMs - b.heardAtMs || (a.id < b.id ? -1 : 1));
    return listed.map((process) => ({ id: process.id, name: process.name, knownTo: process.knownTo, heardAt: new Date(process.heardAtMs), standing: standingOf(process, now.getTime()) }));
  }

  async prune(now: Date, limit: number): Promise<number> {
    const counting = new Set(this.#counting(now.getTime()));
    const lastMs = this.#lastMs();
    const old = [...this.#processes.values()].filter((each) => !counting.has(each) && each.heardAtMs < lastMs).toSorted((a, b) => a.heardAtMs - b.heardAtMs).slice(0, limit);
    for (const { id } of old) this.#processes.delete(id);
    return old.length;
  }

  #counting(nowMs: number): Heard[] {
    return [...this.#processes.values()].filter(({ heardAtMs, countsForMs }) => heardAtMs + countsForMs > nowMs);
  }

  #lastMs(): number {
    return Math.max(...[...this.#processes.values()].map(({ heardAtMs }) => heardAtMs));
  }
}

function isUnleased({ unleasedAtMs, countsForMs }: Heard, nowMs: number): boolean {
  return unleasedAtMs + countsForMs > nowMs;
}

function standingOf(process: Heard, nowMs: number): AnsweringStanding {
  if (process.isEnded) return 'ended';
  if (nowMs - process.heardAtMs > SILENCE_MAX_MS) return 'silent';
  if (isUnleased(process, nowMs)) return 'unleased';
  return process.knownTo === undefined ? 'nothing' : 'follows';
}
