import type { RegionName } from '#regions';

/** Some bytes of a file: from `offset`, `length` of them (> 0). */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** CRC-64 of a range as Azure Storage computes it (reflected polynomial 0x9A6C9329AC4BC9B5), little-endian bytes in base64: `u661BimQ84c=`. */
export type Crc64 = string;

/** What is known of a file without reading it. */
export interface ShareFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** Changes with every write. */
  readonly etag: string;
  /** When it was last written to, by the provider's clock, to the second. */
  readonly modifiedAt: Date;
  /** When this was told, by the same clock, to the second: what its age is to be reckoned from. */
  readonly toldAt: Date;
  /** Small named texts kept with the file; names in lower case. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** A URL from which another share may read one file until `expiresAt`: it carries a read-only grant for that file and is a secret until then. */
export interface CopySource {
  readonly url: string;
  readonly expiresAt: Date;
  /** Waits until `bytes` may be read from it, by the bound of its own share; whoever has it read asks before. Absent: no bound. */
  readonly admit?: (bytes: number, signal?: AbortSignal) => Promise<void>;
}

/** How a file is moved. */
export interface RenameOptions {
  /** Replaces all metadata of the file; absent: it keeps what it has. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How full a share is, as its provider counts. */
export interface ShareUsage {
  /** Bytes that it may hold. */
  readonly provisionedBytes: number;
  /** Bytes that it holds: files by their logical sizes, of everybody who writes there. Some providers count late. */
  readonly usedBytes: number;
}

/** How a node can reach one file: containerd's `{type, source, options}` without the target. */
export interface MountSource {
  readonly type: 'smb' | 'nfs' | 'https' | 'file';
  readonly region: RegionName;
  readonly source: string;
  readonly options: readonly string[];
  /** Until when the source's own grant holds; absent where it carries none. */
  readonly expiresAt?: Date;
}

/** Handles beyond this are not counted: a share with more of them is in use, whatever their number. */
export const OPEN_HANDLES_COUNTED_MAX = 10_000;

/**
 * A file share in one region that holds expanded layers.
 *
 * The life of a file: `createFile` makes it under a partial name with its full size, all zeros and taking no room;
 * ranges arrive in any order and more than once, by `writeRange` from our own memory or by `copyRange` straight from
 * another share; `rename` gives it its final name in one step; `readRange` and the mounts see it; `remove` ends it.
 *
 * Paths are relative, with `/` between components, and need no escaping here. Missing folders are made by whoever writes.
 * A path with empty, `.` or `..` components, a trailing dot, or characters that SMB forbids is refused with `SHARE_PROTOCOL`.
 * Every method throws {@link ShareError} and nothing else, but for the reason of an aborted `signal`. Transient
 * failures are tried again within the driver's own policy before they are thrown.
 */
export abstract class Share {
  /** Unique among all shares of the service: lower-case letters, digits, hyphens. */
  abstract readonly name: string;
  abstract readonly region: RegionName;
  /** How many bytes of files it may hold, counted by their logical sizes, as the provider bills them. */
  abstract readonly capacityBytes: number;

  /**
   * Creates the share at the provider where it does not exist yet, and has ready what grants are signed with. Repeating it changes nothing.
   * @throws `SHARE_DENIED` when it is not there, and may not be created.
   */
  abstract ensureExists(signal?: AbortSignal): Promise<void>;

  /** How full it is; undefined when the credential does not suffice to ask. */
  abstract usage(signal?: AbortSignal): Promise<ShareUsage | undefined>;

  /** Creates or truncates a file of `sizeBytes` zeros (0 to 4 TiB), without metadata. @throws `SHARE_FULL` */
  abstract createFile(path: string, sizeBytes: number, signal?: AbortSignal): Promise<void>;

  /** Sets a file's size; what is beyond it goes, what is new is zero. @throws `FILE_NOT_FOUND`, `SHARE_FULL` */
  abstract resizeFile(path: string, sizeBytes: number, signal?: AbortSignal): Promise<void>;

  /**
   * Writes 1 to 4 MiB at `offset`, within the file's size; durable when it returns.
   * @throws `FILE_NOT_FOUND`, `RANGE_INVALID` beyond the end or over 4 MiB, `SHARE_FULL`
   */
  abstract writeRange(path: string, offset: number, bytes: Uint8Array, signal?: AbortSignal): Promise<void>;

  /**
   * Has the share itself read `range` of `source` and write it at the same offset here: the bytes do not pass through us. At most 4 MiB.
   * @returns the CRC64 of what was written.
   * @throws `COPY_SOURCE_FAILED` when the source could not be read (transient when it was only busy), and as `writeRange`.
   */
  abstract copyRange(path: string, range: ByteRange, source: CopySource, signal?: AbortSignal): Promise<Crc64>;

  /**
   * Reads `range` whole: any length that fits memory; longer ones are fetched in pieces. What arrived before a connection was cut is not fetched again.
   * The buffer is the caller's alone.
   * @throws `FILE_NOT_FOUND`, `RANGE_INVALID`, `INTEGRITY_MISMATCH` when the file changed meanwhile
   */
  abstract readRange(path: string, range: ByteRange, signal?: AbortSignal): Promise<Buffer>;

  /** The file at `path`, or undefined when there is none. */
  abstract stat(path: string, signal?: AbortSignal): Promise<ShareFile | undefined>;

  /** The ranges that were ever written, ascending and disjoint, widened to the provider's granularity; everything else is zero. @throws `FILE_NOT_FOUND` */
  abstract dataRanges(path: string, signal?: AbortSignal): Promise<ByteRange[]>;

  /** Replaces all metadata of a file: names of letters, digits and `_`, values in printable ASCII. @throws `FILE_NOT_FOUND` */
  abstract setMetadata(path: string, metadata: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<void>;

  /**
   * Moves a file in one step, replacing what stands at `to`. With `metadata` it has just that under its new name, from the first moment on.
   * @throws `FILE_NOT_FOUND`
   */
  abstract rename(from: string, to: string, options?: RenameOptions): Promise<void>;

  /** Makes the folders above `path` that are missing, so that who moves a file there later need not wait for it. Repeating it changes nothing. */
  abstract ensureFolders(path: string, signal?: AbortSignal): Promise<void>;

  /** Removes a file. @returns false when there was none. @throws `FILE_IN_USE` while a client holds it open. */
  abstract remove(path: string, signal?: AbortSignal): Promise<boolean>;

  /**
   * How many handles clients hold open on the file at `path`, or, for an empty path, on everything on the share; at most {@link OPEN_HANDLES_COUNTED_MAX}. 0 for a file that is not there, and where
   * the protocol of the share knows none.
   * @returns undefined when the credential does not suffice to ask.
   */
  abstract openHandles(path: string, signal?: AbortSignal): Promise<number | undefined>;

  /** Closes the handles that clients hold open on the file at `path`, whatever they do with it; none where the protocol of the share knows none. @returns how many. @throws `SHARE_DENIED` when the credential does not suffice. */
  abstract closeHandles(path: string, signal?: AbortSignal): Promise<number>;

  /** The files directly in `folder`, by name, with their sizes; an absent folder is empty. */
  abstract list(folder: string, signal?: AbortSignal): AsyncIterable<{ readonly name: string; readonly sizeBytes: number }>;

  /** Grants other shares reading `path` until `expiresAt`, or a little less where what signs it ends before. @throws `SHARE_DENIED` when the credential can grant nothing. */
  abstract grantCopySource(path: string, expiresAt: Date): Promise<CopySource>;

  /**
   * How nodes reach `path`, best first; asked within an answer, so it returns at once. Credentials in it are read-only, for this one file, and hold until
   * `expiresAt`, or until the earlier instant that stands beside them. A way for which there is no credential at the moment is left out.
   */
  abstract mountSources(path: string, expiresAt: Date): MountSource[];

  /**
   * Renews what grants are signed with while it still serves. To be called every few minutes by whoever hands out mounts; mostly it does nothing.
   * @throws when there is nothing to sign with, and none could be had.
   */
  abstract renewGrants(): Promise<void>;
}
