import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';

import type { Digest } from '#oci';
import { MiB } from '#quantities';

/** Bytes of all blobs together that wait in memory for the disk, beside what stays there; a disk that is slower than the clients' streams costs the blob, never the stream. */
export const SPOOL_PENDING_BYTES_MAX = 64 * MiB;
/** Bytes that are written to the disk at once, at least. */
const WRITE_BYTES_MIN = MiB;
/** Bytes read from the disk at once. */
const READ_BYTES = MiB;

/** Why a blob was given up on its way: its stream ended early; the disk was too slow for it, or failed; it took too long in all; the service stops. */
export type SpoolFailure = 'CUT' | 'SPOOL_SLOW' | 'SPOOL_FAILED' | 'TOO_SLOW' | 'STOPPED';

/** What blobs have in memory, all that share it together. */
export interface SpoolMemory {
  bytes: number;
  /** Up to here nothing is written to the disk: writing takes a quarter of the processor's time that passing on the same bytes takes. */
  readonly stayMax: number;
}

/** A blob to be set aside, and who hears of its end. */
export interface SpooledBlobOptions {
  readonly digest: Digest;
  readonly repository: string;
  /** What its answer says that it has. */
  readonly sizeBytes: number;
  readonly folder: string;
  readonly memory: SpoolMemory;
  readonly onWhole: (blob: SpooledBlob) => void;
  /** Called once, when it takes no room any more. */
  readonly onGone: (blob: SpooledBlob) => void;
  readonly onFailure: (blob: SpooledBlob, failure: SpoolFailure, error?: unknown) => void;
}

/**
 * One blob that is set aside: `take` while it passes, `end` when the stream is over, then, if it came whole, `chunks`, once, and `discard` in any case. It stays in memory, and what of all blobs there is
 * no room for any more goes to the disk, each blob's first bytes first. Its file has no name from the moment it is opened: whatever becomes of the process, nothing of it is left. Nothing here throws but
 * `chunks`.
 */
export class SpooledBlob {
  readonly digest: Digest;
  readonly repository: string;
  readonly sizeBytes: number;
  readonly #options: SpooledBlobOptions;
  #file: Promise<FileHandle> | undefined;
  /** What came behind the bytes that are written. */
  #held: Buffer[] = [];
  #takenBytes = 0;
  #writtenBytes = 0;
  #writing: Promise<void> | undefined;
  #discarded: Promise<void> | undefined;

  constructor(options: SpooledBlobOptions) {
    this.#options = options;
    ({ digest: this.digest, repository: this.repository, sizeBytes: this.sizeBytes } = options);
  }

  /** Takes the next part of the stream; returns at once. */
  take(chunk: Buffer): void {
    if (this.#discarded !== undefined) return;
    this.#takenBytes += chunk.length;
    if (this.#takenBytes > this.sizeBytes) return this.giveUp('CUT');
    const { memory } = this.#options;
    if (memory.bytes + chunk.length > memory.stayMax + SPOOL_PENDING_BYTES_MAX) return this.giveUp('SPOOL_SLOW');
    memory.bytes += chunk.length;
    this.#held.push(chunk);
    if (memory.bytes > memory.stayMax) this.#writing ??= this.#makeRoom().finally(() => (this.#writing = undefined));
  }

  /** Notes that the stream is over. @param whole whether all of it got through to the client. */
  async end(whole: boolean): Promise<void> {
    if (!whole || this.#takenBytes !== this.sizeBytes) this.giveUp('CUT');
    await this.#writing;
    if (this.#discarded === undefined) this.#options.onWhole(this);
  }

  /** Gives it up before it was whole. Repeating it, or doing it too late, changes nothing. */
  giveUp(failure: SpoolFailure, error?: unknown): void {
    if (this.#discarded !== undefined) return;
    this.#options.onFailure(this, failure, error);
    void this.discard();
  }

  /** Gives its room back. */
  discard(): Promise<void> {
    this.#discarded ??= this.#close();
    return this.#discarded;
  }

  /** All of a blob that came whole, from its first byte, once: memory is free again as it is read. Not verified. @throws when the disk fails. */
  async *chunks(signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
    const file = await this.#file;
    for (let at = 0; at < this.#writtenBytes; ) {
      signal.throwIfAborted();
      const bytes = Math.min(READ_BYTES, this.#writtenBytes - at);
      const { bytesRead, buffer } = (await file?.read(Buffer.allocUnsafe(bytes), 0, bytes, at)) ?? { bytesRead: 0, buffer: Buffer.alloc(0) };
      if (bytesRead === 0) throw new Error(`the spooled blob ended after ${at} of ${this.#writtenBytes} bytes`);
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
    for (let part = this.#held.shift(); part !== undefined; part = this.#held.shift()) {
      signal.throwIfAborted();
      this.#options.memory.bytes -= part.length;
      yield part;
    }
  }

  /** Writes what there is no room for in memory any more, in few large pieces. */
  async #makeRoom(): Promise<void> {
    const { memory, folder } = this.#options;
    try {
      this.#file ??= openUnnamed(folder);
      const file = await this.#file;
      while (this.#held.length > 0 && this.#discarded === undefined && memory.bytes > memory.stayMax) {
        const parts = this.#held.splice(0, countOf(this.#held, Math.max(WRITE_BYTES_MIN, memory.bytes - memory.stayMax)));
        const bytes = bytesOf(parts);
        try {
          const { bytesWritten } = await file.writev(parts, this.#writtenBytes);
          if (bytesWritten !== bytes) throw new Error(`the disk took ${bytesWritten} of ${bytes} bytes`);
        } finally {
          memory.bytes -= bytes;
        }
        this.#writtenBytes += bytes;
      }
    } catch (error) {
      this.giveUp('SPOOL_FAILED', error);
    }
  }

  async #close(): Promise<void> {
    this.#options.memory.bytes -= bytesOf(this.#held);
    this.#held = [];
    // Called from within the writing as well, which must not wait for itself.
    await Promise.resolve(this.#writing).catch(() => undefined);
    const file = await Promise.resolve(this.#file).catch(() => undefined);
    await file?.close().catch(() => undefined);
    this.#options.onGone(this);
  }
}

/** How many of the first parts have so many bytes together. */
function countOf(parts: readonly Buffer[], bytes: number): number {
  let [count, sum] = [0, 0];
  for (; count < parts.length && sum < bytes; count += 1) sum += parts[count]?.length ?? 0;
  return count;
}

function bytesOf(parts: readonly Buffer[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}

/** A file that only this process has, and that is gone with it. */
async function openUnnamed(folder: string): Promise<FileHandle> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, `${randomUUID()}.blob`);
  const file = await open(path, 'wx+', 0o600);
  try {
    await unlink(path);
  } catch (error) {
    await file.close();
    throw error;
  }
  return file;
}
