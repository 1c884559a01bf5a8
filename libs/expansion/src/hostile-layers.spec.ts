import { gzipSync, zstdCompressSync } from 'node:zlib';

import { describe, expect, it } from 'vitest';

import { entryOf, expandBytes, type LayerBytes, layerOf, paxRecords, type RawTarEntry, tarOf } from '#expansion/testing';
import { GiB, MiB } from '#quantities';
import { LAYER_FILE_VERSION, layerFilePath } from '#shares';
import { MemoryShare } from '#shares/testing';

import type { ExpansionLimits } from './expansion-limits.js';

/** Memory that an expansion may take on top of what the process holds already: pieces on the way, a decoder's window, and what waits to be collected. */
const MAX_GROWTH_BYTES = 400 * MiB;

const many = (count: number, entry: (index: number) => RawTarEntry): Buffer => tarOf(...Array.from({ length: count }, (_, index) => entry(index)));
const sparse = (records: Record<string, string>): Record<string, string> => ({ 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': 'sparse', ...records });
const oldSparse = (segments: number): Buffer => {
  const number = (value: number): string => `${value.toString(8).padStart(11, '0')}\0`;
  const block = (from: number, count: number, isLast: boolean): Buffer => {
    const bytes = Buffer.alloc(512);
    for (let index = 0; index < count; index += 1) bytes.write(number((from + index) * 2) + number(1), index * 24, 'latin1');
    bytes[504] = isLast ? 0 : 1;
    return bytes;
  };
  const header = entryOf({ name: 'old-sparse', type: 'S', magic: 'ustar  \0', size: segments, change: (bytes) => {
    bytes.write(number(0) + number(0), 386, 'latin1');
    bytes[482] = 1;
    bytes.write(number(segments * 2), 483, 'latin1');
  } });
  const blocks = Array.from({ length: segments / 21 }, (_, index) => block(index * 21, 21, (index + 1) * 21 >= segments));
  return Buffer.concat([header, ...blocks]);
};

interface Hostile {
  readonly title: string;
  readonly layer: () => LayerBytes;
  readonly code: string;
  /** `details` of the error, in part. */
  readonly details: object;
  readonly limits?: Partial<ExpansionLimits>;
}
const tar = (title: string, entries: readonly RawTarEntry[], code: string, details: object | string, limits: Partial<ExpansionLimits> = {}): Hostile =>
  ({ title, layer: () => layerOf(tarOf(...entries)), code, details: typeof details === 'string' ? { entry: details } : details, limits });

const HOSTILE: readonly Hostile[] = [
  tar('".." in a name', [{ name: 'a/../../etc/passwd' }], 'TAR_INVALID', 'a/../../etc/passwd'),
  tar('".." at the beginning of a name', [{ name: '../x' }], 'TAR_INVALID', '../x'),
  tar('an absolute name with ".."', [{ name: '/../x' }], 'TAR_INVALID', '/../x'),
  tar('a hard link out of the tree', [{ name: 'h', type: '1', linkName: '../../etc/shadow' }], 'TAR_INVALID', 'h'),
  tar('a hard link to the host’s files by an absolute name', [{ name: 'h', type: '1', linkName: '/etc/shadow' }], 'LINK_TARGET_MISSING', 'h'),
  tar('a hard link through a symbolic link to the host’s files', [{ name: 's', type: '2', linkName: '/etc' }, { name: 'h', type: '1', linkName: 's/shadow' }], 'LINK_TARGET_MISSING', 'h'),
  tar('a name below a file', [{ name: 'f' }, { name: 'f/x' }], 'TAR_INVALID', 'f/x'),
  tar('a name below a device', [{ name: 'c', type: '3', major: 1, minor: 3 }, { name: 'c/x' }], 'TAR_INVALID', 'c/x'),
  tar('a name below a loop of links', [{ name: 'a', type: '2', linkName: 'b' }, { name: 'b', type: '2', linkName: 'a' }, { name: 'a/x' }], 'TAR_INVALID', 'a/x'),
  tar('a web of links that doubles with every step', [
    { name: 'l0/', type: '5' },
    ...Array.from({ length: 30 }, (_, index) => ({ name: `l${index + 1}`, type: '2', linkName: `l${index}/../l${index}` })),
    { name: 'l30/x' },
  ], 'TAR_INVALID', 'l30/x'),
  tar('a whiteout of no name', [{ name: 'd/.wh.' }], 'TAR_INVALID', 'd/.wh.'),
  tar('a whiteout of the parent', [{ name: 'd/.wh...' }], 'TAR_INVALID', 'd/.wh...'),
  tar('an opaque mark out of the tree', [{ name: '../.wh..wh..opq' }], 'TAR_INVALID', '../'),
  tar('a path deeper than Linux has', [{ name: 'x', pax: { path: 'd/'.repeat(2048) } }], 'TAR_INVALID', 'd/'.repeat(100)),
  tar('a name longer than Linux has', [{ name: 'x', pax: { path: 'n'.repeat(256) } }], 'TAR_INVALID', 'n'.repeat(200)),
  tar('a NUL inside a name', [{ name: 'x', pax: { path: 'a\0b' } }], 'TAR_INVALID', 'a\0b'),
  tar('a link target with a NUL', [{ name: 's', type: '2', pax: { linkpath: 'a\0b' } }], 'TAR_INVALID', 's'),
  tar('a size that covers the entries behind it', [{ name: 'liar', size: 100_000, contents: 'x' }, { name: 'next' }], 'TAR_INVALID', 'liar'),
  tar('a size that leaves contents to be read as a header', [{ name: 'liar', size: 0, contents: 'x'.repeat(512) }], 'TAR_INVALID', 'x'.repeat(100)),
  tar('a size in a record that is another one', [{ name: 'liar', contents: 'x', pax: { size: '5000' } }], 'TAR_INVALID', 'liar'),
  tar('a negative size', [{ name: 'liar', change: (header) => header.fill(0xff, 124, 136) }], 'TAR_INVALID', 'liar'),
  tar('a size beyond all numbers', [{ name: 'liar', change: (header) => header.fill(0x7f, 125, 136).fill(0x80, 124, 125) }], 'TAR_INVALID', 'liar'),
  tar('more bytes than any layer has', [{ name: 'liar', pax: { size: '9007199254740991' } }], 'TOO_LARGE', { limit: 'maxUncompressedBytes', entry: 'liar' }),
  tar('a pax header of 1 GiB', [{ name: 'x', type: 'x', size: GiB }], 'TOO_LARGE', { limit: 'MAX_EXTENSION_BYTES', entry: 'x' }),
  tar('a global header of 1 GiB', [{ name: 'g', type: 'g', size: GiB }], 'TOO_LARGE', { limit: 'MAX_EXTENSION_BYTES', entry: 'g' }),
  tar('a long name of 1 GiB', [{ name: 'x', type: 'L', size: GiB }], 'TOO_LARGE', { limit: 'MAX_EXTENSION_BYTES', entry: 'x' }),
  tar('a long name of 1 MiB', [{ name: 'x', type: 'L', contents: 'n'.repeat(MiB) }, { name: 'short' }], 'TAR_INVALID', 'n'.repeat(200)),
  tar('attributes that go on and on', [{ name: 'f', pax: Object.fromEntries(Array.from({ length: 2000 }, (_, index) => [`SCHILY.xattr.user.${index}`, ''])) }], 'TOO_LARGE', { limit: 'MAX_XATTRS' }),
  tar('attributes of more bytes than an inode has', [{ name: 'f', pax: Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`SCHILY.xattr.user.${index}`, 'v'.repeat(100)])) }], 'ENTRY_UNSUPPORTED', 'f'),
  tar('an attribute of 65,536 bytes', [{ name: 'f', pax: { 'SCHILY.xattr.user.big': 'v'.repeat(65_536) } }], 'ENTRY_UNSUPPORTED', 'f'),
  { title: 'millions of attributes, other ones on every file', layer: () => layerOf(many(3000, (index) => ({ name: `f${index}`, pax: { [`SCHILY.xattr.user.${index}`]: 'v'.repeat(900) } }))), code: 'TOO_LARGE',
    details: { limit: 'maxNameBytes', entry: expect.stringMatching(/^f\d+$/) as string }, limits: { maxNameBytes: MiB } },
  tar('a NUL in the name of an attribute', [{ name: 'f', pax: { 'SCHILY.xattr.user.a\0b': 'x' } }], 'TAR_INVALID', 'f'),
  tar('an encoded NUL in the name of an attribute', [{ name: 'f', pax: { 'LIBARCHIVE.xattr.user.a%00b': 'AAAA' } }], 'TAR_INVALID', 'f'),
  tar('a sparse map of a million runs', [{ name: 'x', pax: sparse({ 'GNU.sparse.realsize': '9000000' }), contents: '1000000\n'.padEnd(1024, '0\n') }], 'TOO_LARGE', { limit: 'MAX_SPARSE_SEGMENTS', entry: 'sparse' }),
  { title: 'a sparse map of a million runs in the old form', layer: () => layerOf(oldSparse(21 * 13_000)), code: 'TOO_LARGE', details: { limit: 'MAX_SPARSE_SEGMENTS', entry: 'old-sparse' } },
  tar('a sparse map whose numbers never end', [{ name: 'x', pax: sparse({ 'GNU.sparse.realsize': '9' }), contents: `1\n${'0'.repeat(5 * MiB)}` }], 'TAR_INVALID', 'sparse'),
  tar('a sparse map that goes backwards', [{ name: 'x', pax: sparse({ 'GNU.sparse.realsize': '9' }), contents: '2\n5\n1\n0\n1\n'.padEnd(512, '\0') + 'ab' }], 'TAR_INVALID', 'sparse'),
  tar('a sparse file that lies about its size', [{ name: 'x', pax: sparse({ 'GNU.sparse.realsize': '3' }), contents: '1\n0\n9\n'.padEnd(512, '\0') + '123456789' }], 'TAR_INVALID', 'sparse'),
  tar('a file of holes beyond all measure', [{ name: 'x', pax: sparse({ 'GNU.sparse.realsize': '9007199254740991' }), contents: '0\n'.padEnd(512, '\0') }], 'TOO_LARGE', { limit: 'maxUncompressedBytes', entry: 'sparse' }),
  tar('entries without number', Array.from({ length: 101 }, (_, index) => ({ name: `f${index}` })), 'TOO_LARGE', { limit: 'maxEntries', entry: 'f100' }, { maxEntries: 100 }),
  tar('directories that one path implies', [{ name: 'a/'.repeat(45), type: '5' }], 'TOO_LARGE', { limit: 'maxEntries', entry: 'a/'.repeat(45) }, { maxEntries: 40 }),
  tar('names without number of bytes', Array.from({ length: 50 }, (_, index) => ({ name: `${index}`.padEnd(99, 'n') })), 'TOO_LARGE', { limit: 'maxNameBytes', entry: '20'.padEnd(99, 'n') }, { maxNameBytes: 2000 }),
  tar('a layer for Windows', [{ name: 'Files/Windows/', type: '5', pax: { 'MSWINDOWS.fileattr': '16', 'MSWINDOWS.rawsd': 'AQAUgBQAAAAkAAAAAAAAAAAAAAABAgAAAAAABSAAAAAgAgAAAQIAAAAAAAUgAAAAIAIAAA==' } }, { name: 'Hives/', type: '5' }], 'LAYER_UNSUPPORTED', 'PaxHeaders/x'),
  tar('a type that nobody knows', [{ name: 'z', type: 'z' }], 'ENTRY_UNSUPPORTED', 'z'),
  tar('a file larger than any layer', [{ name: 'bomb', size: 8 * GiB - 1 }], 'TOO_LARGE', { limit: 'maxUncompressedBytes', entry: 'bomb' }, { maxUncompressedBytes: GiB }),
  { title: 'a bomb of gzip', layer: () => bomb(gzipSync, 16), code: 'TOO_LARGE', details: { limit: 'maxUncompressedBytes', entry: 'last' }, limits: { maxUncompressedBytes: 600 * MiB } },
  { title: 'a bomb of zstd', layer: () => bomb(zstdCompressSync, 64), code: 'TOO_LARGE', details: { limit: 'maxUncompressedBytes', entry: 'last' }, limits: { maxUncompressedBytes: 600 * MiB } },
  { title: 'a frame of zstd with a window of 2 GiB', layer: () => windowOf(21), code: 'TOO_LARGE', details: { limit: 'MAX_ZSTD_WINDOW_BYTES' } },
];

/** A layer of some hundred KiB that comes to nearly 1 GiB: a small tar, and zeros behind its end. */
function bomb(compress: (bytes: Buffer) => Buffer, partMiB: number): LayerBytes {
  const part = compress(Buffer.alloc(partMiB * MiB));
  const blob = Buffer.concat([compress(tarOf({ name: 'first' }, { name: 'last' })), ...Array.from({ length: 960 / partMiB }, () => part)]);
  return layerOf(blob);
}

/** A frame of zstd that says it needs a window of 2^(10 + exponent) bytes, around one stored byte. */
function windowOf(exponent: number): LayerBytes {
  return layerOf(Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, exponent << 3, 9, 0, 0, 0x78]));
}

/** Refuses a layer, and says how much memory that took at most. */
async function refuse({ layer, limits = {} }: Hostile): Promise<{ readonly error: unknown; readonly share: MemoryShare; readonly growthBytes: number }> {
  const share = new MemoryShare({ name: 'home' });
  const bytes = layer();
  const before = process.memoryUsage.rss();
  let most = before;
  const sampling = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss());
  }, 5);
  try {
    const error: unknown = await expandBytes(bytes, { share, limits }).then(() => undefined, (reason: unknown) => reason);
    return { error, share, growthBytes: Math.max(most, process.memoryUsage.rss()) - before };
  } finally {
    clearInterval(sampling);
  }
}

describe('a hostile layer', () => {
  it.each(HOSTILE.map((hostile) => [hostile.title, hostile] as const))('with %s ends in a coded error, in little memory, and leaves nothing', async (_, hostile) => {
    const { error, share, growthBytes } = await refuse(hostile);
    expect(error).toMatchObject({ name: 'ExpansionError', code: hostile.code, transient: false, details: hostile.details });
    expect(share.paths).toEqual([]);
    expect(share.calls.filter((call) => call.operation === 'rename')).toEqual([]);
    expect(growthBytes).toBeLessThan(MAX_GROWTH_BYTES);
  });

  it('does no harm to the other layers of its image on the same share', async () => {
    const share = new MemoryShare({ name: 'home' });
    const good = layerOf(tarOf({ name: 'f', contents: 'x' }));
    await expandBytes(good, { share });
    await expect(expandBytes(HOSTILE[0]!.layer(), { share })).rejects.toMatchObject({ code: 'TAR_INVALID' });
    const other = layerOf(tarOf({ name: 'g', contents: 'y' }));
    await expandBytes(other, { share });
    expect(share.paths.toSorted()).toEqual([good, other].map(({ layer }) => layerFilePath(layer.digest, LAYER_FILE_VERSION)).toSorted());
  });

  it('is kept inside its tree where a client keeps it inside as well: absolute names, links that climb, links in the path', async () => {
    const { expanded } = await expandBytes(layerOf(tarOf(
      { name: '/etc/passwd', contents: 'x' }, { name: 'up', type: '2', linkName: '../../../..' }, { name: 'up/climbed', contents: 'y' },
      { name: 'abs', type: '2', linkName: '/etc' }, { name: 'abs/group', contents: 'z' }, { name: 'hard', type: '1', linkName: '/abs/passwd' },
    )));
    // etc, etc/passwd, etc/group, up, climbed, abs, hard.
    expect(expanded.entryCount).toBe(7);
  });
});

const RICH = tarOf(
  { name: 'pax_global_header', type: 'g', contents: paxRecords({ comment: 'c' }) },
  { name: 'dir/', type: '5' },
  { name: 'dir/file', contents: 'x'.repeat(700), pax: { mtime: '1.5', 'SCHILY.xattr.user.a': 'v' } },
  { name: '././@LongLink', type: 'L', magic: 'ustar  \0', contents: `${'n'.repeat(200)}\0` },
  { name: 'short', magic: 'ustar  \0', contents: 'y' },
  { name: 'x', contents: '1\n5\n3\n'.padEnd(512, '\0') + 'abc', pax: sparse({ 'GNU.sparse.realsize': '100' }) },
  { name: 'hard', type: '1', linkName: 'dir/file' },
);

describe('a layer that was cut short', () => {
  it('is expanded as far as it goes where an entry ends, and refused anywhere else', async () => {
    const outcomes = new Map<number, string>();
    for (let block = 0; block <= RICH.length; block += 512) {
      for (const length of [block - 1, block, block + 1]) {
        if (length < 0 || length > RICH.length) continue;
        const { error, share } = await refuse({ title: '', layer: () => layerOf(RICH.subarray(0, length)), code: '', details: {} });
        outcomes.set(length, error === undefined ? 'expanded' : (error as { code: string }).code);
        expect(share.paths).toHaveLength(error === undefined ? 1 : 0);
      }
    }
    expect(new Set(outcomes.values())).toEqual(new Set(['expanded', 'TAR_INVALID']));
    const ends = [...outcomes].filter(([length, outcome]) => outcome === 'expanded' && length % 512 === 0).map(([length]) => length / 512);
    // Nothing at all, then behind the global header, the directory, the file, the one with a long name, the sparse one, the link, and in the end mark.
    expect(ends).toEqual([0, 2, 3, 8, 12, 17, 18, 19, 20]);
  });

  it.each([['gzip', gzipSync(RICH)], ['zstd', zstdCompressSync(RICH)]])('is refused wherever its %s is cut, when its digest is that of the cut blob', async (_, blob) => {
    for (let length = 4; length < blob.length; length += 1) {
      await expect(expandBytes(layerOf(blob.subarray(0, length)))).rejects.toMatchObject({ code: 'COMPRESSION_INVALID', transient: false });
    }
  });

  it.each([['nothing', RICH], ['gzip', gzipSync(RICH)], ['zstd', zstdCompressSync(RICH)]])('is tried again wherever %s of it was cut, when its digest is that of the whole blob', async (_, blob) => {
    const share = new MemoryShare({ name: 'home' });
    const whole = layerOf(RICH, blob);
    for (let length = 0; length < blob.length; length += blob.length > 2000 ? 101 : 7) {
      await expect(expandBytes({ ...whole, blob: blob.subarray(0, length) }, { share })).rejects.toMatchObject({ code: 'BLOB_TRUNCATED', transient: true });
    }
    expect(share.paths).not.toContain(layerFilePath(whole.layer.digest, LAYER_FILE_VERSION));
    await expandBytes(whole, { share });
    expect(share.paths).toEqual([layerFilePath(whole.layer.digest, LAYER_FILE_VERSION)]);
  });
});
