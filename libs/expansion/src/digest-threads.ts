import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';

import { MiB, SECOND_MS } from '#quantities';
import { PIECE_BYTES } from '#shares';

import { blockDigests, HASH_BLOCK_BYTES, TREE_DIGEST_BYTES } from './block-digests.js';
import type { DigestReply, DigestRequest } from './digest-thread.js';
import { ExpansionError } from './expansion-error.js';

/** Threads that compute digests, for all expansions of the process together: more than a few wait for the one that feeds them. */
export const DIGEST_THREADS_MAX = Math.max(1, Math.min(4, availableParallelism() - 1));
/** A thread without work ends after this: starting one takes some 30 ms. */
const IDLE_MS = 10 * SECOND_MS;
/** Bytes of a stream that go to a thread at once where they are copied. */
const PART_BYTES = MiB;
/** Parts of one stream on the way at once. */
const PARTS_MAX = 8;

const ZERO_PIECE = Buffer.alloc(PIECE_BYTES);
const ZERO_PIECE_DIGESTS = blockDigests(ZERO_PIECE);

type Task = Omit<DigestRequest, 'job'>;

/** One thread, from its start until it has had nothing to do for a while. */
class DigestThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, PromiseWithResolvers<DigestReply>>();
  readonly #onEnd: (thread: DigestThread) => void;
  #nextJob = 0;
  #users = 0;
  #failure: Error | undefined;
  #idle: NodeJS.Timeout | undefined;

  constructor(onEnd: (thread: DigestThread) => void) {
    this.#onEnd = onEnd;
    const script = import.meta.url.endsWith('.ts') ? './digest-thread.ts' : './digest-thread.js';
    this.#worker = new Worker(new URL(script, import.meta.url), { name: 'digests' });
    this.#worker.on('message', (reply: DigestReply) => this.#settle(reply.job)?.resolve(reply));
    this.#worker.on('error', (cause) => this.#fail(failed('a digest thread failed', cause)));
    this.#worker.on('exit', (code) => this.#fail(failed(`a digest thread ended with code ${code}`)));
    this.#rest();
  }

  /** How many use it now. */
  get users(): number {
    return this.#users;
  }

  /** Keeps it from ending until {@link leave}. */
  join(): void {
    this.#users += 1;
    clearTimeout(this.#idle);
  }

  leave(): void {
    this.#users -= 1;
    if (this.#users === 0) this.#rest();
  }

  /** Has a task done. @throws {ExpansionError} `DIGEST_THREAD_FAILED` */
  run(task: Task): Promise<DigestReply> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const job = this.#nextJob;
    this.#nextJob += 1;
    const waiting = Promise.withResolvers<DigestReply>();
    // Only while it is awaited does it keep the process alive.
    if (this.#waiting.size === 0) this.#worker.ref();
    this.#waiting.set(job, waiting);
    this.#worker.postMessage({ ...task, job } satisfies DigestRequest, [task.memory]);
    return waiting.promise;
  }

  #settle(job: number): PromiseWithResolvers<DigestReply> | undefined {
    const waiting = this.#waiting.get(job);
    this.#waiting.delete(job);
    if (this.#waiting.size === 0) this.#worker.unref();
    return waiting;
  }

  #rest(): void {
    this.#worker.unref();
    this.#idle = setTimeout(() => {
      this.#onEnd(this);
      void this.#worker.terminate();
    }, IDLE_MS).unref();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    clearTimeout(this.#idle);
    this.#onEnd(this);
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
  }
}

function failed(message: string, cause?: unknown): ExpansionError {
  return new ExpansionError('DIGEST_THREAD_FAILED', message, { transient: true, cause });
}

const threads = new Set<DigestThread>();

/** The thread with the fewest users; another one is started while there are fewer than may be. */
function joinThread(): DigestThread {
  let [chosen] = [...threads].toSorted((a, b) => a.users - b.users);
  if (chosen === undefined || (chosen.users > 0 && threads.size < DIGEST_THREADS_MAX)) {
    chosen = new DigestThread((ended) => threads.delete(ended));
    threads.add(chosen);
  }
  chosen.join();
  return chosen;
}

/** How many digest threads there are now. */
export function digestThreadCount(): number {
  return threads.size;
}

/**
 * Computes the digests of blocks beside what this thread does. A file of a single piece is done right here, and zeros are known: neither needs a thread.
 * To be closed in any case.
 */
export class BlockDigester {
  #thread: DigestThread | undefined;

  /**
   * The digests of the blocks of `bytes`: whole blocks, a piece of them at most. The memory of a whole piece is given away to the thread where it holds nothing else: the
   * piece is empty then.
   * @throws {ExpansionError} `DIGEST_THREAD_FAILED`
   */
  async digests(bytes: Uint8Array): Promise<Uint8Array> {
    const { length } = bytes;
    if (ZERO_PIECE.subarray(0, length).equals(bytes)) return ZERO_PIECE_DIGESTS.subarray(0, (length / HASH_BLOCK_BYTES) * TREE_DIGEST_BYTES);
    if (this.#thread === undefined && length < PIECE_BYTES) return blockDigests(bytes);
    this.#thread ??= joinThread();
    const memory = length === PIECE_BYTES ? soleMemory(bytes) : undefined;
    const { digests } = await this.#thread.run({ task: 'blocks', stream: 0, memory: memory ?? new Uint8Array(bytes).buffer, length });
    return digests;
  }

  /** Leaves the thread. */
  close(): void {
    this.#thread?.leave();
    this.#thread = undefined;
  }
}

let nextStream = 1;

/**
 * The sha256 of a stream, computed beside what this thread does. What fits one part is hashed right here: most layers are small, and none of them
 * needs a thread. To be closed in any case.
 */
export class StreamHash {
  readonly #stream = nextStream;
  readonly #onTheWay = new Set<Promise<void>>();
  #part = new Uint8Array(PART_BYTES);
  #filled = 0;
  #thread: DigestThread | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor() {
    nextStream += 1;
  }

  /** Takes bytes; they are copied. */
  update(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#filled === PART_BYTES) this.#sendPart();
      const count = Math.min(bytes.length - at, PART_BYTES - this.#filled);
      this.#part.set(bytes.subarray(at, at + count), this.#filled);
      this.#filled += count;
      at += count;
    }
  }

  /** Takes bytes that nobody else needs any more: where they are all that their memory holds, it is given away to the thread, and nothing is copied. */
  take(bytes: Uint8Array): void {
    const memory = soleMemory(bytes);
    const isSmall = this.#thread === undefined && this.#filled + bytes.length <= PART_BYTES;
    if (memory === undefined || isSmall) return this.update(bytes);
    if (this.#filled > 0) this.#sendPart();
    this.#send(memory, bytes.length);
  }

  /** Waits until there is room on the way to the thread. @throws {ExpansionError} `DIGEST_THREAD_FAILED` */
  async ready(): Promise<void> {
    while (this.#failure === undefined && this.#onTheWay.size >= PARTS_MAX) await Promise.race(this.#onTheWay);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** The digest, 64 hexadecimal digits; nothing is taken afterwards. @throws {ExpansionError} `DIGEST_THREAD_FAILED` */
  async digest(): Promise<string> {
    const rest = this.#part.subarray(0, this.#filled);
    if (this.#thread === undefined) return createHash('sha256').update(rest).digest('hex');
    const { digests } = await this.#thread.run({ task: 'end', stream: this.#stream, memory: this.#part.buffer, length: this.#filled });
    if (this.#failure !== undefined) throw this.#failure.error;
    this.#leave();
    return Buffer.from(digests).toString('hex');
  }

  /** Ends it: needed when no digest was taken, harmless otherwise. */
  close(): void {
    this.#thread?.run({ task: 'drop', stream: this.#stream, memory: new ArrayBuffer(0), length: 0 }).catch(() => undefined);
    this.#leave();
  }

  #leave(): void {
    this.#thread?.leave();
    this.#thread = undefined;
  }

  #sendPart(): void {
    this.#send(this.#part.buffer, this.#filled);
    this.#part = new Uint8Array(PART_BYTES);
    this.#filled = 0;
  }

  #send(memory: ArrayBuffer, length: number): void {
    this.#thread ??= joinThread();
    const sending = this.#thread.run({ task: 'append', stream: this.#stream, memory, length }).then(
      () => undefined,
      (error: unknown) => {
        this.#failure ??= { error };
      },
    ).finally(() => this.#onTheWay.delete(sending));
    this.#onTheWay.add(sending);
  }
}

/** The memory of bytes that are all it holds; undefined where there may be others. */
function soleMemory({ buffer, byteLength }: Uint8Array): ArrayBuffer | undefined {
  return buffer instanceof ArrayBuffer && buffer.byteLength === byteLength ? buffer : undefined;
}
