import { paxRecords, type RawTarEntry } from '#expansion/testing';

const GNU = 'ustar  \0';
const sparse = (name: string, realsize: number): Record<string, string> => ({ 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': name, 'GNU.sparse.realsize': String(realsize) });
const oldSparse = (header: Buffer): void => {
  ['00000000002', '00000000003', '00000010000', '00000000001', '00000010001', '00000000000'].forEach((number, index) => header.write(number, 386 + 12 * index));
  header.write('00000010001', 483);
};
const base256 = (header: Buffer): void => {
  header.fill(0, 108, 116).writeUInt32BE(3_000_000_000, 112);
  header[108] = 0x80;
  header.fill(0xff, 136, 148).writeInt32BE(-5, 144);
};

/** Valid tars of every kind, small ones: what the campaign starts from. */
export const TAR_RECIPES: readonly (readonly RawTarEntry[])[] = [
  [
    { name: './', type: '5', mode: 0o755 }, { name: './bin/', type: '5', mode: 0o755 }, { name: './bin/tool', mode: 0o755, contents: '#!/bin/sh\n'.repeat(500) },
    { name: './bin/same', type: '1', linkName: './bin/tool' }, { name: './bin/soft', type: '2', linkName: 'tool' }, { name: './dev-null', type: '3', major: 1, minor: 3 },
    { name: './disk', type: '4', major: 8, minor: 1 }, { name: './pipe', type: '6' },
  ],
  [{ name: 'old', type: '\0', magic: '', contents: 'v7' }, { name: 'old-folder/', type: '\0', magic: '', mode: 0o700 }, { name: 'old-link', type: '1', magic: '', linkName: 'old' }],
  [
    { name: 'pax_global_header', type: 'g', contents: paxRecords({ comment: 'of everything', uid: '7' }) },
    { name: 'n', contents: 'long', pax: { path: `deep/${'n'.repeat(180)}`, mtime: '1700000000.123456789', 'SCHILY.xattr.user.note': 'x=\ny', 'LIBARCHIVE.xattr.user.other': 'AAAA' } },
    { name: 's', type: '2', pax: { linkpath: 't/'.repeat(120), mtime: '-1.5' } },
    { name: 'd/', type: '5', mode: 0o750, pax: { 'SCHILY.xattr.trusted.big': 'v'.repeat(3000), uid: '4000000000' } },
  ],
  [
    { name: '././@LongLink', type: 'L', magic: GNU, contents: `${'g'.repeat(150)}\0` }, { name: 'short', magic: GNU, contents: 'long name' },
    { name: '././@LongLink', type: 'K', magic: GNU, contents: `${'t'.repeat(150)}\0` }, { name: 'link', type: '2', magic: GNU, linkName: 'cut' },
    { name: 'numbers', magic: GNU, change: base256, contents: 'base 256' },
  ],
  [
    { name: 'old-sparse', type: 'S', magic: GNU, contents: 'abcd', change: oldSparse },
    { name: 'p', contents: 'abcd', pax: { 'GNU.sparse.name': 'sparse-0.1', 'GNU.sparse.size': '20000', 'GNU.sparse.map': '2,3,7000,1,20000,0' } },
    { name: 'p', contents: `${'2\n2\n3\n9000\n1\n'.padEnd(512, '\0')}abcd`, pax: sparse('sparse-1.0', 10_000) },
    { name: 'hole', contents: '1\n100000\n0\n'.padEnd(512, '\0'), pax: sparse('hole', 100_000) },
  ],
  [
    { name: '.wh.gone' }, { name: 'opaque/.wh..wh..opq' }, { name: 'opaque/new', contents: 'new' }, { name: '.wh.replaced' }, { name: 'replaced/', type: '5' },
    { name: 'd/' , type: '5' }, { name: 'd/.wh.one' }, { name: 'a.wh.b' },
  ],
  [
    { name: 'f', contents: 'first' }, { name: 'f', contents: 'second' }, { name: 'h', type: '1', linkName: 'f' }, { name: 'f/', type: '5' }, { name: 'f/x', contents: 'below' }, { name: 'f', contents: 'a file again' },
    { name: 'usr/lib/', type: '5' }, { name: 'lib', type: '2', linkName: 'usr/lib' }, { name: 'lib/so', contents: 'through' }, { name: 'up', type: '2', linkName: '../../..' }, { name: 'up/x' },
  ],
  [{ name: 'caf\xe9', contents: 'x' }, { name: '\xff\xfe', type: '2', linkName: '\x80' }, { name: 'a/b/c/d/e/f', contents: 'implied' }, { name: '//x/./y//z', contents: 'odd slashes' }],
  [{ name: 'many/', type: '5', mode: 0o755 }, ...Array.from({ length: 150 }, (_, index) => ({ name: `many/${`${index}`.padStart(80, 'm')}`, contents: 'x'.repeat(index * 50) }))],
  [],
];
