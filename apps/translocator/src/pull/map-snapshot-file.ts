import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

import type { Clock } from '#clock';
import { type HeldMap, type MapFeeder, type MapOnDisk, readSnapshot, SnapshotError, writeSnapshot } from '#mounts';
import { GiB, KiB, MiB, MINUTE_MS, SECOND_MS } from '#quantities';

/** How long to rest between two snapshots at least. */
export const SNAPSHOT_EVERY_MS = MINUTE_MS;
/** The same where one is wanted, because the drains of replicas wait for it. */
export const SNAPSHOT_WANTED_MS = 10 * SECOND_MS;
/** A large map rests longer: of all time, this part at most is spent on writing. */
const WRITING_RATIO_MAX = 0.1;
/** Bytes of a snapshot at most; a million layers in sixty regions take a quarter of it. */
export const SNAPSHOT_BYTES_MAX = GiB;
/** Bytes written in a second at most while answers are given. */
const BYTES_PER_SECOND_MAX = 16 * MiB;
/** Bytes written at once while answers are given, at least: mostly one frame of about 120 kB, which takes a tenth of a millisecond of the thread that answers. */
const WRITE_BYTES = 32 * KiB;
/** Bytes read at once, and written at once when no answers are given any more. */
const LARGE_BYTES = MiB;

/** What happened to the file, for logs. */
export type SnapshotReport =
  | { readonly kind: 'written'; readonly sizeBytes: number; readonly seconds: number }
  | { readonly kind: 'read'; readonly asOf: Date; readonly seconds: number }
  /** There is none, or it is of no use; `error` says why. The map is then loaded from the database. */
  | { readonly kind: 'refused'; readonly error: unknown }
  /** The one from before stays. */
  | { readonly kind: 'failed'; readonly error: unknown };

/** What a {@link MapSnapshotFile} is made with. */
export interface MapSnapshotFileOptions {
  readonly path: string;
  /** Names the deployment and its database, so that no other one's map is answered from. */
  readonly origin: string;
  readonly feeder: MapFeeder;
  readonly clock: Clock;
  /** A snapshot that is older is refused: nothing could be mounted by it. */
  readonly ageMaxMs: number;
  readonly onReport: (report: SnapshotReport) => void;
  /** Who speaks for the map among the processes that answer, when it is written. Default nobody. */
  readonly speaker?: () => string;
  /** Default {@link SNAPSHOT_BYTES_MAX}. */
  readonly bytesMax?: number;
}

/**
 * The lookup's map on disk, for a start without a database. Written beside its place and renamed when it is whole and flushed, so that what stands there is always a whole one; read back only when every byte is as it
 * was written. What it knows has the age that it had: `asOf` of the answers.
 */
export class MapSnapshotFile {
  readonly #options: MapSnapshotFileOptions;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #onDisk: MapOnDisk = { kind: 'none' };
  #speaker: string | undefined;
  #wanted = false;
  #wake: (() => void) | undefined;

  constructor(options: MapSnapshotFileOptions) {
    this.#options = options;
  }

  /** What a start without a database would find now, at the oldest. */
  get onDisk(): MapOnDisk {
    return this.#onDisk;
  }

  /** Who spoke for the map that was read; undefined before that, and where there was none of use. */
  get speaker(): string | undefined {
    return this.#speaker;
  }

  /** Has one be written sooner. */
  want(): void {
    this.#wanted = true;
    this.#wake?.();
  }

  /** Gives the feeder the map of the file, where there is one that is of use. Never throws; for the time before the feeder starts. */
  async restore(): Promise<void> {
    const { path, feeder, clock, origin, ageMaxMs, onReport } = this.#options;
    const startedAt = clock.now();
    try {
      await using file = await open(path, 'r');
      this.#onDisk = { kind: 'unknown' };
      const { size } = await file.stat();
      if (size > this.#bytesMax) throw new SnapshotError('SNAPSHOT_FOREIGN', `the file has ${size} bytes, and a snapshot at most ${this.#bytesMax}`);
      const { map, header } = await readSnapshot(readerOf(file), { origin, file: await nameOf(file), now: startedAt, ageMaxMs });
      feeder.adopt(map, header.position);
      this.#onDisk = { kind: 'held', knownTo: header.knownTo ?? header.position, loads: 0, withdrawals: 0 };
      this.#speaker = header.speaker;
      onReport({ kind: 'read', asOf: header.asOf, seconds: secondsSince(startedAt, clock) });
    } catch (error) {
      // What could not even be looked at may be there.
      if (!isAbsent(error)) this.#onDisk = { kind: 'unknown' };
      onReport({ kind: 'refused', error });
    }
  }

  /** Begins to write one now and then. Repeating it changes nothing. */
  start(): void {
    this.#running ??= this.#writeForever();
  }

  /** Ends that, and writes a last one at full speed. Never throws. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#write(Number.POSITIVE_INFINITY);
  }

  async #writeForever(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stopping;
    for (let restMs = 0; ;) {
      const soonMs = Math.max(SNAPSHOT_WANTED_MS, restMs);
      await clock.sleep(soonMs, signal).catch(() => undefined);
      if (!this.#wanted) await this.#untilWanted(Math.max(SNAPSHOT_EVERY_MS, restMs) - soonMs);
      if (signal.aborted) return;
      this.#wanted = false;
      const seconds = await this.#write(BYTES_PER_SECOND_MAX);
      restMs = (seconds * SECOND_MS) / WRITING_RATIO_MAX;
    }
  }

  async #untilWanted(withinMs: number): Promise<void> {
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    const resting = new AbortController();
    await Promise.race([woken, this.#options.clock.sleep(withinMs, AbortSignal.any([resting.signal, this.#stopping.signal])).catch(() => undefined)]);
    this.#wake = undefined;
    resting.abort();
  }

  /** @returns how long it took, in seconds. */
  async #write(bytesPerSecond: number): Promise<number> {
    const { feeder, path, clock, onReport } = this.#options;
    const held = feeder.held;
    if (held === undefined) return 0;
    const startedAt = clock.now();
    const partial = `${path}.partial`;
    const before = this.#onDisk;
    const written: MapOnDisk = { kind: 'held', knownTo: held.knownTo, loads: held.loads, withdrawals: held.withdrawals };
    let isRenamed = false;
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await rm(partial, { force: true });
      // From the rename on, this is what would be found, and nothing newer may have been acknowledged by then.
      if (before.kind === 'none') this.#onDisk = written;
      const sizeBytes = await this.#writeTo(partial, held, bytesPerSecond);
      if (sizeBytes !== undefined) {
        isRenamed = true;
        await rename(partial, path);
        await flushFolder(dirname(path));
        // Until here the one from before may be found as well.
        this.#onDisk = written;
        onReport({ kind: 'written', sizeBytes, seconds: secondsSince(startedAt, clock) });
      }
    } catch (error) {
      await rm(partial, { force: true }).catch(() => undefined);
      onReport({ kind: 'failed', error });
    }
    if (!isRenamed) this.#onDisk = before;
    return secondsSince(startedAt, clock);
  }

  /** @returns its bytes; undefined when it was given up because the process stops: the last one follows. */
  async #writeTo(path: string, held: HeldMap, bytesPerSecond: number): Promise<number | undefined> {
    const { clock, origin, speaker } = this.#options;
    const { signal } = this.#stopping;
    const isLast = bytesPerSecond === Number.POSITIVE_INFINITY;
    // Others on the machine need not know which images there are.
    await using file = await open(path, 'wx', 0o600);
    let sizeBytes = 0;
    for (const bytes of inPieces(writeSnapshot(held.map, { origin, asOf: held.asOf, position: held.position, knownTo: held.knownTo, speaker: speaker?.(), file: await nameOf(file) }), isLast ? LARGE_BYTES : WRITE_BYTES)) {
      if (!isLast && signal.aborted) return undefined;
      sizeBytes += bytes.length;
      if (sizeBytes > this.#bytesMax) throw new Error(`the map takes more than ${this.#bytesMax} bytes: no snapshot is kept of it`);
      await file.write(bytes);
      if (!isLast) await clock.sleep((bytes.length / bytesPerSecond) * SECOND_MS, signal).catch(() => undefined);
    }
    await file.sync();
    return sizeBytes;
  }

  get #bytesMax(): number {
    return this.#options.bytesMax ?? SNAPSHOT_BYTES_MAX;
  }
}

/** Frames joined to pieces of about so many bytes. */
function* inPieces(frames: Iterable<Buffer>, bytes: number): Generator<Buffer, void> {
  let [piece, length]: [Buffer[], number] = [[], 0];
  for (const frame of frames) {
    piece.push(frame);
    length += frame.length;
    if (length < bytes) continue;
    yield piece.length === 1 ? frame : Buffer.concat(piece);
    [piece, length] = [[], 0];
  }
  if (length > 0) yield Buffer.concat(piece);
}

/** Reads on in large pieces. */
function readerOf(file: FileHandle): (length: number) => Promise<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  return async (length) => {
    while (rest.length < length) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(Math.max(LARGE_BYTES, length)), 0);
      if (bytesRead === 0) break;
      rest = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
    }
    const taken = rest.subarray(0, length);
    rest = rest.subarray(length);
    return taken;
  };
}

/** Names a file by its place on its disk, which a copy of it does not have, and which stays when it is renamed. */
async function nameOf(file: FileHandle): Promise<string> {
  return String((await file.stat({ bigint: true })).ino);
}

function isAbsent(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

async function flushFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}

function secondsSince(startedAt: Date, clock: Clock): number {
  return (clock.now().getTime() - startedAt.getTime()) / 1000;
}
