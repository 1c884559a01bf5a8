import { createHash } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import { expandBytes, layerOf, type RawTarEntry, tarOf } from '#expansion/testing';
import { MiB } from '#quantities';
import { LAYER_FILE_VERSION } from '#shares';

/** Bytes without repetition that depend on their seed alone. */
function noise(sizeBytes: number, seed: string): Buffer {
  const blocks = Array.from({ length: Math.ceil(sizeBytes / 64) }, (_, index) => createHash('sha512').update(`${seed}${index}`).digest());
  return Buffer.concat(blocks).subarray(0, sizeBytes);
}
const folder = (name: string): RawTarEntry => ({ name: `${name}/`, type: '5', mode: 0o755 });
const hole = (name: string, realSizeBytes: number, runs: readonly (readonly [offset: number, text: string])[]): RawTarEntry => ({
  name: 'sparse',
  pax: { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': name, 'GNU.sparse.realsize': String(realSizeBytes) },
  contents: `${runs.length}\n${runs.map(([offset, text]) => `${offset}\n${text.length}\n`).join('')}`.padEnd(512, '\0') + runs.map(([, text]) => text).join(''),
});

/** One layer for each class of structures that the file can hold. */
const LAYERS: Readonly<Record<string, () => RawTarEntry[]>> = {
  'nothing': () => [],
  'directories alone': () => [{ ...folder('.'), mode: 0o750, uid: 1, gid: 2 }, folder('a'), folder('a/b'), folder('a/b/c'), { ...folder('d'), mode: 0o1777 }],
  'small files, inline directories': () => [folder('etc'), { name: 'etc/hosts', contents: '127.0.0.1 localhost\n' }, { name: 'etc/empty' }, { name: 'etc/hard', type: '1', linkName: 'etc/hosts' }, { name: 'etc/block', contents: noise(4096, 'block') }],
  'a directory of many blocks': () => [folder('many'), ...Array.from({ length: 1000 }, (_, index) => ({ name: `many/${index}-${'n'.repeat(index % 80)}`, contents: index % 10 === 0 ? 'x' : '' }))],
  'inline attributes': () => [{ name: 'f', pax: { 'SCHILY.xattr.user.note': 'text', 'SCHILY.xattr.trusted.empty': '', 'SCHILY.xattr.security.capability': '\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0' } }, { ...folder('d'), pax: { 'SCHILY.xattr.user.note': 'text' } }],
  'shared attributes': () => [...['a', 'b', 'c'].map((name) => ({ name, pax: { 'SCHILY.xattr.trusted.big': 'v'.repeat(5000), [`SCHILY.xattr.trusted.own-${name}`]: name.repeat(2000) } })), { name: 'd', pax: { 'SCHILY.xattr.trusted.largest': 'w'.repeat(65_535) } }],
  'devices and pipes': () => [{ name: 'null', type: '3', major: 1, minor: 3, mode: 0o666 }, { name: 'last', type: '3', major: 4095, minor: 1_048_575 }, { name: 'disk', type: '4', major: 259, minor: 65_536 }, { name: 'pipe', type: '6' }],
  'links, short and long': () => [{ name: 'short', type: '2', linkName: 'target' }, { name: 'long', type: '2', pax: { linkpath: 't/'.repeat(2047) } }, ...Array.from({ length: 70 }, (_, index) => ({ name: `l${index}`, type: '2', linkName: 'x'.repeat(index + 1) }))],
  'whiteouts and opaque directories': () => [{ name: '.wh.gone' }, { name: 'opaque/.wh..wh..opq' }, { name: 'opaque/new', contents: 'new' }, { name: '.wh.replaced' }, folder('replaced'), { name: 'a.wh.b' }],
  'times, owners and names of every kind': () => [
    { name: 'early', pax: { mtime: '-86400.75' } }, { name: 'fine', pax: { mtime: '1700000000.123456789' } }, { name: 'late', pax: { mtime: '17179869184.5' } }, { name: 'owned', uid: 65_534, gid: 1000, mode: 0o6711, pax: { uid: '4294967294' } },
    { name: 'caf\xe9' }, { name: '\xff' }, { name: 'long', pax: { path: `implied/${'n'.repeat(255)}` } },
  ],
  'holes': () => [hole('start', 100_000, [[90_000, 'end']]), hole('middle', 12 * MiB, [[0, 'start'], [9 * MiB + 5, 'middle'], [12 * MiB - 3, 'end']]), hole('only', 6 * MiB, [[6 * MiB, '']]), { name: 'zeros', contents: new Uint8Array(5 * MiB) }],
  'files of several pieces': () => [{ name: 'large', contents: noise(9_000_000, 'large') }, { name: 'larger', contents: noise(4 * MiB, 'larger') }, { name: 'small', contents: 'x' }],
  'many entries': () => Array.from({ length: 12_000 }, (_, index) => ({ name: `${index % 7}/${index % 101}/${index}`, contents: index % 1000 === 0 ? `${index}` : '', uid: index % 5 })),
  'replacements': () => [{ name: 'f', contents: 'first' }, { name: 'f', contents: 'second' }, folder('d'), { name: 'd/x', contents: 'gone' }, { name: 'd', contents: 'a file' }, folder('d'), { name: 'd/y' }, { name: 'lib', type: '2', linkName: 'd' }, { name: 'lib/z' }],
};

/** What a layer becomes: of which tar, which bytes, with which hash tree. */
interface Golden {
  readonly diffId: string;
  readonly vhd: string;
  readonly rootHash: string;
}

/**
 * The bytes of files of one version, for ever. When a test below fails, the writer gives other bytes to layers that stand on shares already: that is a new
 * {@link LAYER_FILE_VERSION} with a new list, never a change of this one.
 */
const GOLDEN_VERSION = 2;
const GOLDEN: Readonly<Record<string, Golden>> = {};

describe(`the file of a layer, version ${GOLDEN_VERSION}`, () => {
  it('is the version that is written', () => {
    expect(LAYER_FILE_VERSION).toBe(GOLDEN_VERSION);
  });

  it.each(Object.entries(LAYERS))('has the golden bytes for %s', async (name, entries) => {
    const { expanded } = await expandBytes(layerOf(tarOf(...entries())));
    expect({ version: expanded.writerVersion, diffId: expanded.diffId, vhd: expanded.vhd.digest, rootHash: expanded.verity?.rootHash }).toEqual({ version: GOLDEN_VERSION, ...GOLDEN[name] });
  });
});
