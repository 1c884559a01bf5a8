import type { Clock } from '#clock';
import type { Digest } from '#oci';
import { SECOND_MS } from '#quantities';

import { SpooledBlob, type SpoolFailure, type SpoolMemory } from './spooled-blob.js';

/** How long what came whole waits for others that are still on their way: an image's layers are fetched together, and expanding one takes from the others' pace. */
export const OTHERS_FIRST_MAX_MS = 10 * SECOND_MS;

/** How much a spool holds, and for how long. */
export interface SpoolLimits {
  /** Of all blobs together, by what their answers say that they have. */
  readonly bytesMax: number;
  /** Of these, how many stay in memory. */
  readonly memoryBytesMax: number;
  readonly blobsMax: number;
  /** From a blob's first byte until its expansion begins. */
  readonly ageMaxMs: number;
}

/** Why a blob is not set aside: there is no room for it, or it is on its way already. */
export type SpoolRefusal = 'SPOOL_FULL' | 'ON_ITS_WAY';

/** What a {@link BlobSpool} works with. */
export interface SpoolOptions {
  readonly folder: string;
  readonly limits: SpoolLimits;
  readonly clock: Clock;
  /** A blob came whole, and waits to be taken. */
  readonly onWhole: () => void;
  readonly onFailure: (blob: SpooledBlob, failure: SpoolFailure, error?: unknown) => void;
}

/**
 * Sets blobs aside while they pass, in memory and, when that is full, on the disk, each once, within limits; what came whole waits here, first come, first served. Nothing that passes ever waits for it: what does not fit, or comes
 * faster than the disk, is given up.
 */
export class BlobSpool {
  readonly #options: SpoolOptions;
  readonly #blobs = new Map<Digest, { readonly blob: SpooledBlob; readonly inTime: AbortController }>();
  readonly #whole: { readonly blob: SpooledBlob; readonly sinceMs: number }[] = [];
  readonly #passing = new Set<SpooledBlob>();
  readonly #memory: SpoolMemory;
  #bytes = 0;
  #stopped = false;

  constructor(options: SpoolOptions) {
    this.#options = options;
    this.#memory = { bytes: 0, stayMax: options.limits.memoryBytesMax };
  }

  /** Bytes that are set aside, or will be. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Of these, what is in memory. */
  get memoryBytes(): number {
    return this.#memory.bytes;
  }

  /** Begins to set a blob aside. */
  open(of: { readonly digest: Digest; readonly repository: string; readonly sizeBytes: number }): SpooledBlob | SpoolRefusal {
    const { folder, limits, clock, onWhole, onFailure } = this.#options;
    if (this.#blobs.has(of.digest)) return 'ON_ITS_WAY';
    if (this.#stopped || this.#blobs.size >= limits.blobsMax || this.#bytes + of.sizeBytes > limits.bytesMax) return 'SPOOL_FULL';
    const blob = new SpooledBlob({
      ...of,
      folder,
      memory: this.#memory,
      onFailure,
      onWhole: (whole) => {
        this.#passing.delete(whole);
        this.#whole.push({ blob: whole, sinceMs: clock.now().getTime() });
        onWhole();
      },
      onGone: (gone) => this.#drop(gone),
    });
    this.#passing.add(blob);
    const inTime = new AbortController();
    this.#blobs.set(of.digest, { blob, inTime });
    this.#bytes += of.sizeBytes;
    void this.#limit(blob, inTime.signal);
    return blob;
  }

  /** The whole blob that has waited longest, for its taker to read and discard; none for {@link OTHERS_FIRST_MAX_MS} while others are on their way. */
  takeWhole(): SpooledBlob | undefined {
    const [first] = this.#whole;
    if (first === undefined || (this.#passing.size > 0 && this.#options.clock.now().getTime() - first.sinceMs < OTHERS_FIRST_MAX_MS)) return undefined;
    this.#whole.shift();
    this.#blobs.get(first.blob.digest)?.inTime.abort();
    return first.blob;
  }

  /** Takes nothing more, and gives up what nobody has taken. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const left = [...this.#blobs.values()].filter(({ inTime }) => !inTime.signal.aborted);
    for (const { blob } of left) blob.giveUp('STOPPED');
    await Promise.all(left.map(({ blob }) => blob.discard()));
  }

  async #limit(blob: SpooledBlob, inTime: AbortSignal): Promise<void> {
    const isLate = await this.#options.clock.sleep(this.#options.limits.ageMaxMs, inTime).then(() => true, () => false);
    if (isLate) blob.giveUp('TOO_SLOW');
  }

  #drop(blob: SpooledBlob): void {
    this.#blobs.get(blob.digest)?.inTime.abort();
    if (!this.#blobs.delete(blob.digest)) return;
    this.#bytes -= blob.sizeBytes;
    this.#passing.delete(blob);
    const waiting = this.#whole.findIndex((whole) => whole.blob === blob);
    if (waiting >= 0) this.#whole.splice(waiting, 1);
  }
}
