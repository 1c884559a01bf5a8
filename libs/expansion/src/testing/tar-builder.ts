/** One entry for {@link tarOf}: fields of the header as they are to stand there, right or wrong. */
export interface RawTarEntry {
  /** One character per byte; over 100 bytes only with `pax.path` or a long-name entry before it. */
  readonly name: string;
  /** Default `'0'`, a regular file. */
  readonly type?: string;
  readonly linkName?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly contents?: Uint8Array | string;
  /** Default the contents' length. */
  readonly size?: number;
  readonly major?: number;
  readonly minor?: number;
  /** Default `'ustar\0' + '00'`. */
  readonly magic?: string;
  readonly prefix?: string;
  /** Records of a local pax header before the entry; values one character per byte. */
  readonly pax?: Readonly<Record<string, string>>;
  /** Called with the finished header, before its checksum is made. */
  readonly change?: (header: Buffer) => void;
}

const BLOCK = 512;

/** A tar of the given entries, byte by byte what is asked for, and its end mark. */
export function tarOf(...entries: readonly RawTarEntry[]): Buffer {
  return Buffer.concat([...entries.map(entryOf), Buffer.alloc(2 * BLOCK)]);
}

/** The records of a pax header: `"%d %s=%s\n"`, the length counting itself. */
export function paxRecords(records: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat(Object.entries(records).map(([keyword, value]) => {
    const rest = ` ${keyword}=${value}\n`;
    let length = rest.length + 1;
    while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
    return Buffer.from(`${length}${rest}`, 'latin1');
  }));
}

/** One entry, its pax header before it, its contents padded. */
export function entryOf(entry: RawTarEntry): Buffer {
  const contents = typeof entry.contents === 'string' ? Buffer.from(entry.contents, 'latin1') : Buffer.from(entry.contents ?? []);
  const header = Buffer.alloc(BLOCK);
  header.write(entry.name, 0, 100, 'latin1');
  octal(header, 100, 8, entry.mode ?? 0o644);
  octal(header, 108, 8, entry.uid ?? 0);
  octal(header, 116, 8, entry.gid ?? 0);
  octal(header, 124, 12, entry.size ?? contents.length);
  octal(header, 136, 12, entry.mtime ?? 1_700_000_000);
  header.write(entry.type ?? '0', 156, 'latin1');
  header.write(entry.linkName ?? '', 157, 100, 'latin1');
  header.write(entry.magic ?? 'ustar\x0000', 257, 'latin1');
  octal(header, 329, 8, entry.major ?? 0);
  octal(header, 337, 8, entry.minor ?? 0);
  header.write(entry.prefix ?? '', 345, 155, 'latin1');
  header.write('        ', 148, 'latin1');
  entry.change?.(header);
  octal(header, 148, 7, header.reduce((sum, byte) => sum + byte, 0));
  const pax = entry.pax === undefined ? Buffer.alloc(0) : entryOf({ name: 'PaxHeaders/x', type: 'x', contents: paxRecords(entry.pax) });
  return Buffer.concat([pax, header, contents, Buffer.alloc((BLOCK - (contents.length % BLOCK)) % BLOCK)]);
}

function octal(header: Buffer, offset: number, length: number, value: number): void {
  header.write(`${value.toString(8).padStart(length - 1, '0')}\0`, offset, length, 'latin1');
}
