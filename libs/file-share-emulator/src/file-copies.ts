import { AzureFilesError } from './azure-error.js';
import type { CopySource, CopySourceReader, SourceDescription } from './copy-source.js';
import { PIECE_BYTES_MAX, withPieceBuffer } from './piece-buffers.js';
import type { CopyState } from './storage/copy-state.js';
import type { Entry, Writer } from './storage/entry.js';
import type { ShareFolder } from './storage/share-folder.js';
import type { TrafficMeter } from './traffic.js';

/** After how many bytes the progress of a copy is recorded again. */
const PROGRESS_STEP_BYTES = 4 * PIECE_BYTES_MAX;
const ITS_COPY: Writer = { isItsCopy: true };

/** A copy of a whole file onto one that is there already, with its size. */
export interface FileCopy {
  readonly state: CopyState;
  readonly source: CopySource;
  readonly description: SourceDescription;
  readonly folder: ShareFolder;
  readonly path: string;
  readonly account: string;
}

/** The copies of whole files that are under way. */
export class FileCopies {
  readonly #sources: CopySourceReader;
  readonly #traffic: TrafficMeter;
  readonly #running = new Map<string, { readonly abort: AbortController; readonly done: Promise<unknown> }>();

  constructor(sources: CopySourceReader, traffic: TrafficMeter) {
    this.#sources = sources;
    this.#traffic = traffic;
  }

  /** Begins a copy and goes on with it; the file's record tells how it goes. Returns at once; `finished` is for who wants to wait. */
  begin(copy: FileCopy): { readonly finished: Promise<Entry | undefined> } {
    const abort = new AbortController();
    const finished = this.#run(copy, abort.signal).finally(() => this.#running.delete(copy.state.id));
    this.#running.set(copy.state.id, { abort, done: finished });
    return { finished };
  }

  /** Stops a copy; returns when nothing more is written for it. */
  async abort(id: string): Promise<void> {
    const running = this.#running.get(id);
    running?.abort.abort();
    await running?.done;
  }

  /** Stops all copies; their files' records keep saying `pending` until the next start finds that nobody is at it. */
  async close(): Promise<void> {
    await Promise.all([...this.#running.keys()].map((id) => this.abort(id)));
  }

  async #run(copy: FileCopy, signal: AbortSignal): Promise<Entry | undefined> {
    const { folder, path, state, source } = copy;
    try {
      await source.target.line.untilCopiesGoOn(signal);
      await this.#carry(copy, signal);
      if (signal.aborted) return undefined;
      const done: CopyState = { ...state, status: 'success', doneBytes: state.totalBytes, completedAt: new Date().toUTCString() };
      return await folder.change(path, { copy: done }, ITS_COPY);
    } catch (error) {
      if (signal.aborted) return undefined;
      const description = error instanceof AzureFilesError ? `${error.status} ${error.code} "${error.message}"` : '500 InternalError "Copy failed."';
      const failed: CopyState = { ...state, status: 'failed', completedAt: new Date().toUTCString(), description };
      // A file that is gone needs no record of its copy.
      return folder.change(path, { copy: failed }, ITS_COPY).catch(() => undefined);
    }
  }

  async #carry({ source, description, folder, path, account, state }: FileCopy, signal: AbortSignal): Promise<void> {
    let recorded = 0;
    for (const { offset, length } of description.ranges) {
      for (let at = offset; at < offset + length && !signal.aborted; at += PIECE_BYTES_MAX) {
        const range = { offset: at, length: Math.min(PIECE_BYTES_MAX, offset + length - at) };
        await withPieceBuffer(range.length, async (bytes) => {
          await (await this.#sources.read(source, range, bytes)).arrival;
          await source.target.line.carry(bytes.length);
          if (!signal.aborted) await folder.write(path, { offset: at, bytes, keepsWriteTime: true }, ITS_COPY);
        });
        this.#traffic.add(account, 'copyInBytes', range.length);
        const doneBytes = range.offset + range.length;
        if (doneBytes - recorded < PROGRESS_STEP_BYTES || signal.aborted) continue;
        recorded = doneBytes;
        await folder.change(path, { copy: { ...state, doneBytes } }, ITS_COPY);
      }
    }
  }
}
