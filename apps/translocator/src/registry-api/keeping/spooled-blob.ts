import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';

import type { Digest } from '#oci';
import { MiB } from '#quantities';

/** Bytes of all blobs together that wait in memory for the disk; a disk that is slower than the clients' streams costs the blob, never the stream. */
export const SPOOL_PENDING_BYTES_MAX = 64 * MiB;
/** Bytes read from the disk at once. */
const READ_BYTES = MiB;

/** Why a blob was given up on its way: its stream ended early; the disk was too slow for it, or failed; it took too long in all; the service stops. */
export type SpoolFailure = 'CUT' | 'SPOOL_SLOW' | 'SPOOL_FAILED' | 'TOO_SLOW' | 'STOPPED';

/** A blob to be set aside, and who hears of its end. */
export interface SpooledBlobOptions {
  readonly digest: Digest;
  readonly repository: string;
  /** What its answer says that it has. */
  readonly sizeBytes: number;
  readonly folder: string;
  /** What waits in memory, of all blobs that share it. */
  readonly pending: { bytes: number };
  readonly onWhole: (blob: SpooledBlob) => void;
  /** Called once, when it takes no room any more. */
  readonly onGone: (blob: SpooledBlob) => void;
  readonly onFailure: (blob: SpooledBlob, failure: SpoolFailure, error?: unknown) => void;
}

/**
 * One blob on its way to the disk: `take` while it passes, `end` when the stream is over, then, if it came whole, `chunks`, and `discard` in any case. Its file has no name from the moment it is
 * opened: whatever becomes of the process, nothing of it is left. Nothing here throws but `chunks`.
 */
export class SpooledBlob {
  readonly digest: Digest;
  readonly repository: string;
  readonly sizeBytes: number;
  readonly #options: SpooledBlobOptions;
  readonly #file: Promise<FileHandle>;
  #pending: Buffer[] = [];
  #takenBytes = 0;
  #writtenBytes = 0;
  #writing: Promise<void> | undefined;
  #discarded: Promise<void> | undefined;

  constructor(options: SpooledBlobOptions) {
    this.#options = options;
    ({ digest: this.digest, repository: this.repository, sizeBytes: this.sizeBytes } = options);
    this.#file = openUnnamed(options.folder);
    this.#file.catch((error: unknown) => this.giveUp('SPOOL_FAILED', error));
  }

  /** Takes the next part of the stream; returns at once. */
  take(chunk: Buffer): void {
    if (this.#discarded !== undefined) return;
    this.#takenBytes += chunk.length;
    if (this.#takenBytes > this.sizeBytes) return this.giveUp('CUT');
    if (this.#options.pending.bytes + chunk.length > SPOOL_PENDING_BYTES_MAX) return this.giveUp('SPOOL_SLOW');
    this.#options.pending.bytes += chunk.length;
    this.#pending.push(chunk);
    this.#writing ??= this.#writeAll().finally(() => (this.#writing = undefined));
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

  /** All of a blob that came whole, from its first byte; not verified. @throws when the disk fails. */
  async *chunks(signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
    const file = await this.#file;
    for (let at = 0; at < this.sizeBytes; ) {
      signal.throwIfAborted();
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(Math.min(READ_BYTES, this.sizeBytes - at)), 0, undefined, at);
      if (bytesRead === 0) throw new Error(`the spooled blob ended after ${at} of ${this.sizeBytes} bytes`);
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  }

  async #writeAll(): Promise<void> {
    try {
      const file = await this.#file;
      while (this.#pending.length > 0 && this.#discarded === undefined) {
        const parts = this.#pending;
        this.#pending = [];
        const bytes = bytesOf(parts);
        try {
          const { bytesWritten } = await file.writev(parts, this.#writtenBytes);
          if (bytesWritten !== bytes) throw new Error(`the disk took ${bytesWritten} of ${bytes} bytes`);
        } finally {
          this.#options.pending.bytes -= bytes;
        }
        this.#writtenBytes += bytes;
      }
    } catch (error) {
      this.giveUp('SPOOL_FAILED', error);
    }
  }

  async #close(): Promise<void> {
    this.#options.pending.bytes -= bytesOf(this.#pending);
    this.#pending = [];
    // Called from within the writing as well, which must not wait for itself.
    await Promise.resolve(this.#writing).catch(() => undefined);
    const file = await this.#file.catch(() => undefined);
    await file?.close().catch(() => undefined);
    this.#options.onGone(this);
  }
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
