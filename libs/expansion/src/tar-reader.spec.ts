import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { entryOf, paxRecords, type RawTarEntry, tarOf } from '#expansion/testing';

import type { TarEntry } from './tar-entry.js';
import { TarReader } from './tar-reader.js';

interface Read {
  readonly entries: (TarEntry & { readonly text: string })[];
}

function read(tar: Buffer, chunkBytes = tar.length): Read {
  const entries: (TarEntry & { text: string })[] = [];
  const reader = new TarReader({
    entry: (entry) => entries.push({ ...entry, text: '' }),
    contents: (bytes) => {
      entries.at(-1)!.text += Buffer.from(bytes).toString('latin1');
    },
    hole: (sizeBytes) => {
      entries.at(-1)!.text += '.'.repeat(sizeBytes);
    },
    endContents: () => {},
  });
  for (let at = 0; at < tar.length; at += chunkBytes) reader.feed(tar.subarray(at, at + chunkBytes));
  reader.end();
  return { entries };
}

const one = (entry: RawTarEntry): TarEntry & { readonly text: string } => read(tarOf(entry)).entries[0]!;
const tooLarge = (limit: string, entry: string): unknown => expect.objectContaining({ code: 'TOO_LARGE', details: { limit, max: expect.any(Number) as number, entry } });
const refusal = (code: string, entry?: string): unknown => expect.objectContaining({ code, ...(entry === undefined ? {} : { details: { entry } }) });

describe('TarReader', () => {
  it('reads a header field by field', () => {
    expect(one({ name: 'a/b', mode: 0o4755, uid: 7, gid: 8, mtime: 9, contents: 'hello' })).toEqual({
      kind: 'file', path: 'a/b', linkPath: '', mode: 0o4755, uid: 7, gid: 8, sizeBytes: 5, mtimeSeconds: 9, mtimeNanoseconds: 0,
      deviceMajor: 0, deviceMinor: 0, xattrs: new Map(), text: 'hello',
    });
  });

  it('gives the same entries however the bytes are cut', () => {
    const tar = tarOf(
      { name: 'a', contents: 'x'.repeat(700), pax: { path: 'p'.repeat(300), mtime: '1.5' } },
      { name: '././@LongLink', type: 'L', contents: `${'g'.repeat(600)}\0` },
      { name: 'short', contents: 'y' },
      { name: 'd/', type: '5' },
    );
    fc.assert(fc.property(fc.integer({ min: 1, max: 1500 }), (chunkBytes) => {
      expect(read(tar, chunkBytes)).toEqual(read(tar));
    }), { numRuns: 60 });
  });

  it('joins the prefix of ustar to the name, and takes none from GNU or v7', () => {
    expect(one({ name: 'n', prefix: 'p/q' }).path).toBe('p/q/n');
    expect(one({ name: 'n', prefix: '0000000000', magic: 'ustar  \0' }).path).toBe('n');
    expect(one({ name: 'n', prefix: 'p/q', magic: '' }).path).toBe('n');
  });

  it('finds the prefix that Go wrote before version 1.8 into GNU headers, and takes no times for one', () => {
    const gnu = (prefix: string): string => one({ name: 'n', prefix, magic: 'ustar  \0' }).path;
    expect(gnu('a/very-long-folder/of-old')).toBe('a/very-long-folder/of-old/n');
    expect(gnu('00000000001\x0000000000002')).toBe('n');
    expect(gnu('caf\xe9/\xe8\xe8\xe8\xe8\xe8\xe8\xe8\xe8')).toBe('n');
  });

  it('takes an empty long name for none', () => {
    expect(read(tarOf({ name: 'x', type: 'L', contents: '\0' }, { name: 'x', type: 'K', contents: '' }, { name: 's', type: '2', linkName: 't' })).entries).toMatchObject([{ path: 's', linkPath: 't' }]);
  });

  it('reads a v7 directory by the slash at its end', () => {
    expect(one({ name: 'd/', type: '\0', magic: '' }).kind).toBe('directory');
    expect(one({ name: 'f', type: '\0', magic: '' }).kind).toBe('file');
  });

  it('reads numbers in base 256, also negative ones', () => {
    const sized = one({ name: 'n', change: (header) => {
      header.fill(0, 108, 116).writeUInt32BE(3_000_000_000, 112);
      header[108] = 0x80;
      header.fill(0xff, 136, 148).writeInt32BE(-5, 144);
    } });
    expect(sized).toMatchObject({ uid: 3_000_000_000, mtimeSeconds: -5 });
  });

  it('lets local records override global ones, and an empty one take them back', () => {
    const { entries } = read(tarOf(
      { name: 'g', type: 'g', contents: paxRecords({ mtime: '5.25', uid: '42' }) },
      { name: 'first' },
      { name: 'second', pax: { mtime: '6', uid: '' }, uid: 3 },
      { name: 'third' },
    ));
    expect(entries.map(({ path, uid, mtimeSeconds, mtimeNanoseconds }) => [path, uid, mtimeSeconds, mtimeNanoseconds])).toEqual([
      ['first', 42, 5, 250_000_000], ['second', 3, 6, 0], ['third', 42, 5, 250_000_000],
    ]);
  });

  it('takes the last of several local headers before an entry', () => {
    const { entries } = read(tarOf(
      { name: 'x', type: 'x', contents: paxRecords({ uid: '42', path: 'first' }) },
      { name: 'x', type: 'x', contents: paxRecords({ gid: '43' }) },
      { name: 'n', uid: 7 },
    ));
    expect(entries).toMatchObject([{ path: 'n', uid: 7, gid: 43 }]);
  });

  it('says at any time which entry is under way', () => {
    const reader = new TarReader({ entry: () => {}, contents: () => {}, hole: () => {}, endContents: () => {} });
    expect(reader.entryPath).toBe('');
    reader.feed(entryOf({ name: 'short', contents: 'x'.repeat(2000), pax: { path: 'long' } }).subarray(0, 2000));
    expect(reader.entryPath).toBe('long');
  });

  it.each([
    ['1.5', 1, 500_000_000], ['1.1234567899', 1, 123_456_789], ['-1.5', -2, 500_000_000], ['-1', -1, 0], ['-0.0000000001', -1, 999_999_999], ['7.', 7, 0],
  ])('reads the time %s', (text, seconds, nanoseconds) => {
    expect(one({ name: 'n', pax: { mtime: text } })).toMatchObject({ mtimeSeconds: seconds, mtimeNanoseconds: nanoseconds });
  });

  it('takes a size of over 8 GiB from a record', () => {
    const reader = new TarReader({ entry: (entry) => expect(entry.sizeBytes).toBe(10_000_000_000), contents: () => {}, hole: () => {}, endContents: () => {} });
    reader.feed(tarOf({ name: 'huge', size: 0, pax: { size: '10000000000' } }));
    expect(() => reader.end()).toThrow(refusal('TAR_INVALID', 'huge'));
    expect.assertions(2);
  });

  it('reads attributes in both vendors’ records', () => {
    const { xattrs } = one({ name: 'n', pax: { 'SCHILY.xattr.user.a': 'x=\ny', 'LIBARCHIVE.xattr.user.b%3Dc': Buffer.from('z').toString('base64'), 'LIBARCHIVE.xattr.user.a': 'AAAA' } });
    expect(Object.fromEntries([...xattrs].map(([name, value]) => [name, Buffer.from(value).toString('latin1')]))).toEqual({ 'user.a': 'x=\ny', 'user.b=c': 'z' });
  });

  it('gives links, directories and devices no contents, whatever their size says', () => {
    const { entries } = read(tarOf({ name: 'l', type: '2', linkName: 't', size: 512 }, { name: 'after', contents: 'x' }));
    expect(entries.map(({ path, sizeBytes }) => [path, sizeBytes])).toEqual([['l', 0], ['after', 1]]);
  });

  it('puts the holes of sparse files back, in every form', () => {
    const old = (header: Buffer): void => {
      ['00000000002', '00000000003', '00000000007', '00000000001', '00000000012', '00000000000'].forEach((number, index) => header.write(number, 386 + 12 * index));
      header.write('00000000012', 483);
    };
    const { entries } = read(tarOf(
      { name: 'old', type: 'S', magic: 'ustar  \0', contents: 'abcd', change: old },
      { name: 'p', contents: 'abcd', pax: { 'GNU.sparse.name': '0.1', 'GNU.sparse.size': '10', 'GNU.sparse.map': '2,3,7,1,10,0' } },
      { name: 'p', contents: `2\n2\n3\n7\n1\n`.padEnd(512, '\0') + 'abcd', pax: { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': '1.0', 'GNU.sparse.realsize': '10' } },
      { name: 'hole', pax: { 'GNU.sparse.size': '4', 'GNU.sparse.map': '4,0' } },
      { name: 'no-map', contents: 'p', pax: { 'GNU.sparse.size': '4' } },
      { name: 'unknown', contents: 'q', pax: { 'GNU.sparse.size': '4', 'GNU.sparse.major': '2', 'GNU.sparse.minor': '0', 'GNU.sparse.map': '4,0' } },
      { name: 'after', contents: 'x' },
    ));
    expect(entries.map(({ path, sizeBytes, text }) => [path, sizeBytes, text])).toEqual([
      ['old', 10, '..abc..d..'], ['0.1', 10, '..abc..d..'], ['1.0', 10, '..abc..d..'], ['hole', 4, '....'], ['no-map', 1, 'p'], ['unknown', 1, 'q'], ['after', 1, 'x'],
    ]);
  });

  it('ends at two blocks of zeros, and does not read what follows', () => {
    expect(read(Buffer.concat([tarOf({ name: 'a' }), Buffer.from('garbage'.repeat(200))])).entries).toHaveLength(1);
  });

  it('ends at the last byte when the end mark is missing', () => {
    expect(read(entryOf({ name: 'a', contents: 'x' })).entries).toHaveLength(1);
    expect(read(Buffer.alloc(0)).entries).toEqual([]);
  });

  it.each<[string, Buffer, unknown]>([
    ['a wrong checksum', Buffer.concat([entryOf({ name: 'a' }).fill('7', 148, 154)]), refusal('TAR_INVALID', 'a')],
    ['a size that is no number', tarOf({ name: 'a', change: (header) => header.write('9x', 124) }), refusal('TAR_INVALID', 'a')],
    ['a negative size', tarOf({ name: 'a', change: (header) => header.fill(0xff, 124, 136) }), refusal('TAR_INVALID', 'a')],
    ['contents cut short', entryOf({ name: 'a', contents: 'x'.repeat(600) }).subarray(0, 700), refusal('TAR_INVALID', 'a')],
    ['a header cut short', entryOf({ name: 'a' }).subarray(0, 100), refusal('TAR_INVALID')],
    ['one block of zeros inside', Buffer.concat([Buffer.alloc(512), tarOf({ name: 'a' })]), refusal('TAR_INVALID')],
    ['an extension header at the end', tarOf({ name: 'x', type: 'x', contents: paxRecords({ path: 'p' }) }).subarray(0, 1024), refusal('TAR_INVALID')],
    ['a record of a wrong length', tarOf({ name: 'x', type: 'x', contents: '99 path=a\n' }), refusal('TAR_INVALID', 'x')],
    ['a record without a line end', tarOf({ name: 'x', type: 'x', contents: '9 path=ab' }), refusal('TAR_INVALID', 'x')],
    ['a record without a keyword', tarOf({ name: 'x', type: 'x', contents: '5 =a\n' }), refusal('TAR_INVALID', 'x')],
    ['a record of length 0', tarOf({ name: 'x', type: 'x', contents: '0 path=a\n' }), refusal('TAR_INVALID', 'x')],
    ['a time that is none', tarOf({ name: 'a', pax: { mtime: 'soon' } }), refusal('TAR_INVALID', 'a')],
    ['an owner of over 32 bits', tarOf({ name: 'a', pax: { uid: '4294967296' } }), refusal('TAR_INVALID', 'a')],
    ['a sparse map that overlaps itself', tarOf({ name: 'a', contents: 'xyz', pax: { 'GNU.sparse.size': '9', 'GNU.sparse.map': '0,2,1,1' } }), refusal('TAR_INVALID', 'a')],
    ['a sparse map beyond the end', tarOf({ name: 'a', contents: 'xyz', pax: { 'GNU.sparse.size': '9', 'GNU.sparse.map': '7,3' } }), refusal('TAR_INVALID', 'a')],
    ['a sparse map of other bytes than are stored', tarOf({ name: 'a', contents: 'xyz', pax: { 'GNU.sparse.size': '9', 'GNU.sparse.map': '0,2' } }), refusal('TAR_INVALID', 'a')],
    ['a sparse map of half a pair', tarOf({ name: 'a', contents: 'xyz', pax: { 'GNU.sparse.size': '9', 'GNU.sparse.map': '0,3,5' } }), refusal('TAR_INVALID', 'a')],
    ['a sparse map that does not end', tarOf({ name: 'a', contents: '9'.repeat(600), pax: { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '9' } }), refusal('TAR_INVALID', 'a')],
    ['a sparse map of too many runs', tarOf({ name: 'a', contents: `999999\n${'1'.repeat(600)}`, pax: { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '9' } }), tooLarge('MAX_SPARSE_SEGMENTS', 'a')],
    ['a number in a sparse map that does not end', tarOf({ name: 'a', contents: `1\n${'0'.repeat(2000)}`, pax: { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '9' } }), refusal('TAR_INVALID', 'a')],
    ['an unknown type', tarOf({ name: 'a', type: 'Z' }), refusal('ENTRY_UNSUPPORTED', 'a')],
    ['an extension header of over 1 MiB', tarOf({ name: 'x', type: 'x', size: 1_048_577 }), tooLarge('MAX_EXTENSION_BYTES', 'x')],
    ['a claim of a header of 1 GiB', tarOf({ name: 'x', type: 'x', size: 2 ** 30 }), tooLarge('MAX_EXTENSION_BYTES', 'x')],
    ['a claim of a long name of 1 GiB', tarOf({ name: 'x', type: 'L', size: 2 ** 30 }), tooLarge('MAX_EXTENSION_BYTES', 'x')],
    ['over 1,024 attributes', tarOf({ name: 'a', pax: Object.fromEntries(Array.from({ length: 1100 }, (_, index) => [`SCHILY.xattr.user.${index}`, ''])) }), tooLarge('MAX_XATTRS', 'PaxHeaders/x')],
    ['over 64 KiB that apply to every entry', tarOf({ name: 'g', type: 'g', contents: paxRecords({ 'SCHILY.xattr.user.a': 'v'.repeat(40_000) }) }, { name: 'h', type: 'g', contents: paxRecords({ 'SCHILY.xattr.user.b': 'v'.repeat(40_000) }) }), tooLarge('MAX_GLOBAL_BYTES', 'h')],
    ['over 64 records that apply to every entry', tarOf({ name: 'g', type: 'g', contents: paxRecords(Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`SCHILY.xattr.user.${index}`, '']))) }), tooLarge('MAX_GLOBAL_RECORDS', 'g')],
    ['an owner that means "no change"', tarOf({ name: 'a', pax: { gid: '4294967295' } }), refusal('TAR_INVALID', 'a')],
  ])('refuses %s', (_, tar, error) => {
    expect(() => read(tar)).toThrow(error as Error);
  });

  it('never throws anything but its own error, whatever the bytes', () => {
    const good = tarOf({ name: 'a', contents: 'abc', pax: { mtime: '1.5', 'SCHILY.xattr.user.x': 'y' } }, { name: 'l', type: '1', linkName: 'a' });
    fc.assert(fc.property(fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 12 }), fc.boolean(), (changes, repair) => {
      const tar = Buffer.from(good);
      for (const [at, byte] of changes) tar[at] = byte;
      if (repair) for (let at = 0; at + 512 <= tar.length; at += 512) repairChecksum(tar.subarray(at, at + 512));
      try {
        read(tar);
      } catch (error) {
        expect(error).toMatchObject({ name: 'ExpansionError' });
      }
    }), { numRuns: 2000 });
  });
});

function repairChecksum(block: Buffer): void {
  if (block.every((byte) => byte === 0)) return;
  block.fill(' ', 148, 156);
  block.write(`${block.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0`, 148, 'latin1');
}
