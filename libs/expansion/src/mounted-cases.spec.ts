import { execFile } from 'node:child_process';
import { open, readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';

import { describe, expect, it } from 'vitest';

import {
  canMountLayers, differencesFromTar, expandBytes, hasProgram, layerOf, paxRecords, type RawTarEntry, readTree, tarOf, temporaryFolder, withMountedLayer,
} from '#expansion/testing';
import { GiB, MiB } from '#quantities';

const run = promisify(execFile);
/** Puts a number into a header field in base 256. */
const base256 = (offset: number, length: number, value: bigint) => (header: Buffer): void => {
  let rest = BigInt.asUintN(length * 8, value);
  for (let at = offset + length - 1; at >= offset; at -= 1, rest >>= 8n) header[at] = Number(rest & 0xffn);
  header[offset]! |= 0x80;
};
const longName = (type: 'K' | 'L', name: string): RawTarEntry => ({ name: '././@LongLink', type, magic: 'ustar  \0', contents: `${name}\0` });
const FOLDER: RawTarEntry = { name: 'd/', type: '5', mode: 0o755, mtime: 5 };
const DEEP = Array.from({ length: 15 }, (_, index) => `${index}`.repeat(250).slice(0, 250)).join('/');

/** Cases whose meaning GNU tar and a registry's client share. Those with a list have directories whose times GNU tar makes up. */
const CASES: [title: string, tar: Buffer, anyTime?: readonly string[]][] = [
  ['v7 headers', tarOf({ ...FOLDER, type: '\0', magic: '' }, { name: 'd/f', type: '\0', magic: '', contents: 'x' }, { name: 'd/s', type: '2', magic: '', linkName: 'f' }, { name: 'd/h', type: '1', magic: '', linkName: 'd/f' })],
  ['a ustar prefix, and a name of exactly 100 bytes without NUL', tarOf({ name: `${'n'.repeat(90)}/`, type: '5', mode: 0o755 }, { prefix: 'n'.repeat(90), name: 'm'.repeat(100), contents: 'x' })],
  ['a contiguous file', tarOf({ name: 'f', type: '7', contents: 'x' })],
  ['numbers in base 256', tarOf({ name: 'f', contents: 'abc', change: (header) => {
    base256(108, 8, 3_000_000_000n)(header);
    base256(116, 8, 4_294_967_294n)(header);
    base256(124, 12, 3n)(header);
    base256(136, 12, 2n ** 36n)(header);
  } })],
  ['times before 1970 in base 256', tarOf({ name: 'f', change: base256(136, 12, -86_400n) }, { name: 'g', magic: 'ustar  \0', change: base256(136, 12, -(2n ** 33n)) })],
  ['times below a second, before 1970 and far ahead', tarOf(...['0.000000001', '-0.000000001', '-86400.75', '1700000000.999999999', '17179869184.5', '-2147483649.25'].map((mtime, index) => ({ name: `f${index}`, pax: { mtime } })))],
  ['a global header, and a local one over it', tarOf(
    { name: 'g', type: 'g', contents: paxRecords({ mtime: '5.25', uid: '42', comment: 'of nothing' }) }, { name: 'first' }, { name: 'second', uid: 3, pax: { mtime: '6', uid: '9' } },
    { name: 'third' })],
  ['the last of two local headers', tarOf({ name: 'x', type: 'x', contents: paxRecords({ uid: '42' }) }, { name: 'y', type: 'x', contents: paxRecords({ gid: '43' }) }, { name: 'f' })],
  ['a path and a link path over 100 bytes in records', tarOf({ name: 's', type: '2', linkName: 's', pax: { path: 's'.repeat(200), linkpath: `${'t/'.repeat(150)}t` } }, { name: 'f', contents: 'x', pax: { path: 'f'.repeat(255) } },
    { name: 'h', type: '1', pax: { path: 'h'.repeat(200), linkpath: 'f'.repeat(255) } })],
  ['GNU long names and link targets', tarOf(longName('L', 'n'.repeat(230)), { name: 'short', magic: 'ustar  \0', contents: 'x' }, longName('K', 'n'.repeat(230)), longName('L', 'h'.repeat(230)),
    { name: 'short', magic: 'ustar  \0', type: '1' }, longName('K', 't/'.repeat(900)), { name: 's', magic: 'ustar  \0', type: '2' })],
  ['a path of nearly 4,095 bytes', tarOf({ name: 'x', contents: 'x', pax: { path: DEEP } }), ['.', ...DEEP.split('/').map((_, index, names) => names.slice(0, index + 1).join('/'))]],
  ['hard links to files, links, devices and pipes', tarOf(FOLDER, { name: 'f', contents: 'x' }, { name: 'd/f', type: '1', linkName: 'f' }, { name: 'd/f2', type: '1', linkName: './d/f' },
    { name: 's', type: '2', linkName: 'nowhere' }, { name: 's2', type: '1', linkName: 's' }, { name: 'c', type: '3', major: 1, minor: 3 }, { name: 'c2', type: '1', linkName: 'c' },
    { name: 'p', type: '6' }, { name: 'p2', type: '1', linkName: 'p' }), ['d']],
  ['a hard link whose first name is replaced later', tarOf({ name: 'f', contents: 'old' }, { name: 'h', type: '1', linkName: 'f' }, { name: 'f', contents: 'new' })],
  ['duplicates, of which the last wins', tarOf({ name: 'f', contents: 'first' }, { name: 'f', contents: 'second', mode: 0o600 }, { name: 'g', contents: 'x' }, { name: 'g', type: '2', linkName: 'f' },
    { name: 's', type: '2', linkName: 'f' }, { name: 's', contents: 'a file again' })],
  ['a file where a directory was, and a directory where a file was', tarOf(FOLDER, { name: 'd/old', contents: 'gone' }, { name: 'd', contents: 'a file' }, { ...FOLDER, mode: 0o700, mtime: 9 }, { name: 'd/new', contents: 'new' }), ['d']],
  ['a directory that comes again', tarOf(FOLDER, { name: 'd/f', contents: 'x' }, { name: './', type: '5', mode: 0o750, uid: 7, mtime: 77 }, { ...FOLDER, mode: 0o2711, uid: 5, mtime: 99 })],
  ['garbage behind the end', Buffer.concat([tarOf({ name: 'f', contents: 'x' }), Buffer.from('no tar at all '.repeat(100))])],
  ['an entry without an end mark', tarOf({ name: 'f', contents: 'x' }).subarray(0, 1024)],
  ['an end mark alone', Buffer.alloc(1024)],
  ['a whole record of zeros', Buffer.alloc(10_240)],
  ['names that are no UTF-8', tarOf({ name: 'd\xf0/', type: '5', mode: 0o700 }, { name: 'd\xf0/\xc3\x28' }, { name: 'x', type: '2', linkName: '\x80', pax: { path: '\xff\xfe', linkpath: '\xfd' } }), ['d\xf0']],
  ['names with spaces, line ends, controls and backslashes', tarOf({ name: ' ' }, { name: 'a\nb' }, { name: 'c\\d' }, { name: '\x01\x7f' }, { name: '-rf' }, { name: '...' }, { name: '.wh' }, { name: 'x.wh.y' })],
  ['attributes of every kind that Linux keeps', tarOf({ ...FOLDER, pax: { 'SCHILY.xattr.user.d': 'v', 'SCHILY.xattr.security.foo': 'w' } },
    { name: 'f', pax: { 'SCHILY.xattr.user.empty': '', 'SCHILY.xattr.trusted.bin': '\0\x01\xff=\n', 'SCHILY.xattr.security.capability': '\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0' } },
    { name: 'c', type: '3', major: 1, minor: 3, pax: { 'SCHILY.xattr.trusted.c': 'x' } }, { name: 's', type: '2', linkName: 'f', pax: { 'SCHILY.xattr.trusted.s': 'x' } })],
  ['an attribute of 65,535 bytes, and hundreds of small ones', tarOf({ name: 'f', pax: { 'SCHILY.xattr.trusted.big': 'v'.repeat(65_535) } },
    { name: 'g', pax: Object.fromEntries(Array.from({ length: 400 }, (_, index) => [`SCHILY.xattr.trusted.${index}`, `${index}`])) })],
  ['set-id and sticky bits, and modes without any', tarOf({ name: 'a', mode: 0o6755 }, { name: 'b', mode: 0 }, { name: 'd/', type: '5', mode: 0o1777 }, { name: 'e/', type: '5', mode: 0 })],
  ['device numbers up to the largest', tarOf({ name: 'c', type: '3', major: 4095, minor: 1_048_575 }, { name: 'b', type: '4', major: 259, minor: 65_536 }, { name: 'n', type: '3', major: 0, minor: 1 })],
  ['a sparse file that is one hole, and one without', tarOf({ name: 'h', pax: { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': 'hole', 'GNU.sparse.realsize': '100000' }, contents: '1\n100000\n0\n'.padEnd(512, '\0') },
    { name: 'p', pax: { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': 'whole', 'GNU.sparse.realsize': '5' }, contents: `${'1\n0\n5\n'.padEnd(512, '\0')}whole` })],
];

describe.skipIf(!canMountLayers())('an expanded layer, mounted, equals GNU tar’s extraction', () => {
  it.each(CASES)('of %s', async (_title, tar, anyTime = []) => {
    expect(await differencesFromTar(tar, { anyTime })).toEqual([]);
  });

  it.each(['ustar', 'gnu', 'pax'])('of what Python writes in %s format', async (format) => {
    await using folder = await temporaryFolder();
    await run('python3', ['-c', WRITE_IN_PYTHON, format, `${folder.path}/x.tar`]);
    const tar = await readFile(`${folder.path}/x.tar`);
    expect(await differencesFromTar(tar, { blob: gzipSync(tar, { level: 1 }) })).toEqual([]);
  });
});

describe.skipIf(!canMountLayers())('an expanded layer, mounted', () => {
  it('holds what stands beyond 4 GiB of a file', async () => {
    const [first, second] = [4 * GiB - 5, 4 * GiB + 3 * MiB];
    const map = `3\n0\n3\n${first}\n10\n${second}\n4\n`.padEnd(512, '\0');
    const tar = tarOf({ name: 'x', contents: `${map}abc0123456789tail`, pax: { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': 'large', 'GNU.sparse.realsize': String(second + 4 + MiB) } },
      { name: 'after', contents: 'x' });
    await withMountedLayer(tar, {}, async (mounted) => {
      const file = await open(`${mounted}/large`);
      const read = async (at: number, length: number): Promise<string> => (await file.read(Buffer.alloc(length), 0, length, at)).buffer.toString('latin1');
      expect((await file.stat()).size).toBe(second + 4 + MiB);
      expect(await read(0, 5)).toBe('abc\0\0');
      expect(await read(first - 1, 12)).toBe('\x000123456789\0');
      expect(await read(second - 1, 6)).toBe('\0tail\0');
      await file.close();
      expect(await readFile(`${mounted}/after`, 'utf8')).toBe('x');
    });
  });

  it.each([['no byte at all', Buffer.alloc(0)], ['one block of zeros', Buffer.alloc(512)]])('is an empty folder for a tar of %s, which GNU tar does not take', async (_, tar) => {
    const tree = await withMountedLayer(tar, {}, readTree);
    expect([...tree]).toMatchObject([['.', { type: 'directory', mode: 0o755, uid: 0, gid: 0, mtimeNs: 0n, xattrs: {} }]]);
  });

  it('is a hole as long as its size for a sparse file whose map is empty, which GNU tar takes for an empty file', async () => {
    const pax = { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': 'hole', 'GNU.sparse.realsize': '100000' };
    const tree = await withMountedLayer(tarOf({ name: 'h', pax, contents: '0\n'.padEnd(512, '\0') }), {}, readTree);
    expect(tree.get('hole')?.sizeBytes).toBe(100_000n);
  });

  it('holds the attributes that libarchive encodes, which GNU tar does not read', async () => {
    const pax = { 'LIBARCHIVE.xattr.trusted.a%3Db': Buffer.from('\0value\xff', 'latin1').toString('base64').replace(/=+$/, '') };
    const tree = await withMountedLayer(tarOf({ name: 'f', pax }), {}, readTree);
    expect(tree.get('f')?.xattrs).toEqual({ 'trusted.a=b': '\0value\xff' });
  });

  it('leaves out attributes that Linux keeps off such a file, and those that steer overlayfs', async () => {
    const acl = '\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x04\0\x04\0\xff\xff\xff\xff\x20\0\x04\0\xff\xff\xff\xff';
    const pax = {
      'SCHILY.xattr.user.note': 'x', 'SCHILY.xattr.system.posix_acl_access': acl, 'SCHILY.xattr.system.posix_acl_default': acl,
      'SCHILY.xattr.trusted.overlay.redirect': '/etc', 'SCHILY.xattr.user.overlay.opaque': 'y', 'SCHILY.xattr.odd.name': 'z',
    };
    const tree = await withMountedLayer(tarOf({ ...FOLDER, pax }, { name: 'f', pax }, { name: 's', type: '2', linkName: 'f', pax }, { name: 'p', type: '6', pax }), {}, readTree);
    const names = (path: string): string[] => Object.keys(tree.get(path)!.xattrs);
    expect(names('d')).toEqual(['system.posix_acl_access', 'system.posix_acl_default', 'user.note']);
    expect(names('f')).toEqual(['system.posix_acl_access', 'user.note']);
    expect(names('s')).toEqual([]);
    expect(names('p')).toEqual(['system.posix_acl_access']);
  });

  it('holds as many inline attributes as an inode of any kernel can have, overlayfs’s marks among them, and not one byte more', async () => {
    const pax = (lastBytes: number): Record<string, string> => Object.fromEntries(Array.from({ length: 64 }, (_, index) => [`SCHILY.xattr.trusted.${10 + index}`, 'v'.repeat(index < 63 ? 1018 : lastBytes - 6)]));
    const tar = tarOf({ name: 'd/', type: '5', pax: pax(968) }, { name: 'd/.wh..wh..opq' }, { name: 'd/.wh.gone' });
    const tree = await withMountedLayer(tar, {}, readTree);
    expect(tree.get('d')?.xattrs).toEqual({
      'trusted.overlay.opaque': 'y', 'trusted.overlay.origin': '', ...Object.fromEntries(Object.entries(pax(968)).map(([name, value]) => [name.replace('SCHILY.xattr.', ''), value])),
    });
    await expect(expandBytes(layerOf(tarOf({ name: 'd/', type: '5', pax: pax(972) })))).rejects.toMatchObject({ code: 'ENTRY_UNSUPPORTED', details: { entry: 'd/' } });
  });

  it('has a regular file where an old entry’s name ends with a slash and its type is a file’s, as Go’s archive/tar reads it', async () => {
    const tree = await withMountedLayer(tarOf({ name: 'f/', type: '0', contents: 'x' }, { name: 'd/', type: '\0' }), {}, readTree);
    expect([tree.get('f')?.type, tree.get('d')?.type]).toEqual(['file', 'directory']);
  });
});

describe('a hard link to what its layer does not hold', () => {
  // containerd links inside the layer's own directory (pkg/archive, hardlinkRootPath; core/diff/apply with overlayfs), and mkfs.erofs --tar among the
  // entries it has seen: for both, unpacking such a layer fails.
  it.each([
    ['a file of a lower layer', [{ name: 'h', type: '1', linkName: 'usr/bin/perl' }]],
    ['an entry behind it', [{ name: 'h', type: '1', linkName: 'f' }, { name: 'f' }]],
    ['what the layer hides', [{ name: '.wh.f' }, { name: 'h', type: '1', linkName: 'f' }]],
    ['the parent of nothing', [{ name: 'h', type: '1', linkName: 'missing/f' }]],
  ])('is refused: %s', async (_, entries) => {
    await expect(expandBytes(layerOf(tarOf(...entries)))).rejects.toMatchObject({ code: 'LINK_TARGET_MISSING', details: { entry: 'h' }, transient: false });
  });

  it.skipIf(!hasProgram('mkfs.erofs'))('is refused by mkfs.erofs as well', async () => {
    await using folder = await temporaryFolder();
    await writeFile(`${folder.path}/x.tar`, tarOf({ name: 'h', type: '1', linkName: 'usr/bin/perl' }));
    await expect(run('mkfs.erofs', ['--tar=f', `${folder.path}/x.erofs`, `${folder.path}/x.tar`])).rejects.toThrow('mkfs.erofs');
  });
});

const WRITE_IN_PYTHON = `
import io, sys, tarfile
formats = {'ustar': tarfile.USTAR_FORMAT, 'gnu': tarfile.GNU_FORMAT, 'pax': tarfile.PAX_FORMAT}
tar = tarfile.open(sys.argv[2], 'w', format=formats[sys.argv[1]])
def add(name, kind=tarfile.REGTYPE, data=b'', **fields):
    entry = tarfile.TarInfo(name)
    entry.type, entry.size, entry.mtime = kind, len(data), 1_600_000_000
    for field, value in fields.items():
        setattr(entry, field, value)
    tar.addfile(entry, io.BytesIO(data))
add('./', tarfile.DIRTYPE, mode=0o755)
add('dir', tarfile.DIRTYPE, mode=0o755)
add('dir/file', data=b'x' * 5000, mode=0o4711, uid=12, gid=34)
add('dir/hard', tarfile.LNKTYPE, linkname='dir/file')
add('dir/soft', tarfile.SYMTYPE, linkname='file')
add('dir/pipe', tarfile.FIFOTYPE, mode=0o600)
add('dir/device', tarfile.CHRTYPE, devmajor=5, devminor=1, mode=0o620)
if sys.argv[1] != 'ustar':
    add('dir/' + 'n' * 240, data=b'long', uid=4_000_000_000)
    add('dir/to-long', tarfile.SYMTYPE, linkname='t/' * 200)
if sys.argv[1] == 'pax':
    add('dir/caf\\u00e9', data=b'accent', mtime=1_600_000_000.5, pax_headers={'SCHILY.xattr.user.note': 'text'})
add('dir', tarfile.DIRTYPE, mode=0o700, mtime=1_500_000_000)
tar.close()
`;
