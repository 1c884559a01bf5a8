/** The kinds of things that a tar entry can be. */
export type TarEntryKind = 'file' | 'hardLink' | 'symlink' | 'character' | 'block' | 'directory' | 'fifo';

/**
 * One entry of a tar, with its extension headers applied. Names, targets and the names of attributes are one character per byte (latin1):
 * they need not be UTF-8 and are kept faithfully.
 */
export interface TarEntry {
  readonly kind: TarEntryKind;
  readonly path: string;
  /** Of hard and symbolic links; empty for anything else. */
  readonly linkPath: string;
  /** Permission bits, 0 to 0o7777. */
  readonly mode: number;
  /** 0 to 2³²−2. */
  readonly uid: number;
  /** 0 to 2³²−2. */
  readonly gid: number;
  /** Bytes of a file, the holes of a sparse one included; 0 for anything else. */
  readonly sizeBytes: number;
  /** Whole seconds since 1970, also negative. */
  readonly mtimeSeconds: number;
  /** 0 to 999,999,999, counted forward from `mtimeSeconds`. */
  readonly mtimeNanoseconds: number;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  /** Extended attributes by full name. */
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
}

/** Who a tar is read to. Each entry is followed by its contents in as many parts as they come in, and holes, then by `endContents`. */
export interface TarSink {
  entry(entry: TarEntry): void;
  /** A part of the contents of the entry before; valid until the call returns. */
  contents(bytes: Uint8Array): void;
  /** A part of the contents that is zeros and was not stored. */
  hole(sizeBytes: number): void;
  endContents(): void;
}
