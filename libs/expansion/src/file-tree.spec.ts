import { describe, expect, it } from 'vitest';

import { FILE_TYPE } from './erofs-structures.js';
import { encodeXattrs, NO_XATTRS } from './erofs-xattrs.js';
import { DEFAULT_EXPANSION_LIMITS } from './expansion-limits.js';
import { FileTree } from './file-tree.js';
import { ROOT } from './filesystem-tree.js';
import type { Attributes } from './inode-table.js';

const attributes = (type: number, uid = 0): Attributes => ({ mode: type | 0o644, uid, gid: 0, mtimeSeconds: 1, mtimeNanoseconds: 0, xattrs: NO_XATTRS });
const FILE = attributes(FILE_TYPE.regular);
const FOLDER = attributes(FILE_TYPE.directory, 5);
const LINK = attributes(FILE_TYPE.symlink);

function treeOf(grow: (tree: FileTree) => void): FileTree {
  const tree = new FileTree({ ...DEFAULT_EXPANSION_LIMITS, maxEntries: 1000, maxNameBytes: 20_000 });
  grow(tree);
  return tree;
}

/** Every path with a letter for its type; `!` marks an opaque directory, `#n` the inode. */
function show(tree: FileTree, inodes = false): string[] {
  const lines: string[] = [];
  const walk = (directory: number, prefix: string): void => {
    for (const [name, inode] of [...tree.directory(directory)!.children].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const type = { [FILE_TYPE.regular]: 'f', [FILE_TYPE.directory]: 'd', [FILE_TYPE.symlink]: 'l', [FILE_TYPE.character]: 'w' }[tree.inodes.mode(inode) & 0o170000];
      lines.push(`${type} ${prefix}${name}${tree.isOpaque(inode) ? '!' : ''}${inodes ? ` #${inode}` : ''}`);
      if (tree.directory(inode) !== undefined) walk(inode, `${prefix}${name}/`);
    }
  };
  walk(ROOT, '');
  return lines;
}

describe('FileTree', () => {
  it('lets the last entry of a name win', () => {
    const tree = treeOf((t) => {
      t.put('a', FILE);
      t.put('a', LINK, { target: 'x' });
      t.put('b/c', FILE);
      t.put('b', FILE);
      t.put('d', FILE);
      t.put('d/', FOLDER);
      t.put('d/e', FILE);
    });
    expect(show(tree)).toEqual(['l a', 'f b', 'd d', 'f d/e']);
  });

  it('keeps what is in a directory that comes again, with its new attributes', () => {
    const tree = treeOf((t) => {
      t.put('d/e', FILE);
      t.put('d/', FOLDER);
      t.put('./', FOLDER);
    });
    expect(show(tree)).toEqual(['d d', 'f d/e']);
    expect(tree.inodes.read(tree.directory(ROOT)!.children.get('d')!).uid).toBe(5);
    expect(tree.inodes.read(ROOT).uid).toBe(5);
  });

  it('takes leading slashes, dots and empty names as nothing', () => {
    expect(show(treeOf((t) => t.put('//a/./b//c', FILE)))).toEqual(['d a', 'd a/b', 'f a/b/c']);
  });

  it('gives hard links one inode, whatever becomes of the first name', () => {
    const tree = treeOf((t) => {
      t.put('a', FILE);
      t.link('b', '/a');
      t.link('b', './b');
      t.put('a', FOLDER);
    });
    expect(show(tree, true)).toEqual(['d a #2', 'f b #1']);
  });

  it('follows links in parents inside the tree alone', () => {
    const tree = treeOf((t) => {
      t.put('x', LINK, { target: '../../y/./z' });
      t.put('x/f', FILE);
      t.put('q/r', LINK, { target: '../y' });
      t.put('q/r/g', FILE);
      t.link('h', 'q/r/g');
    });
    expect(show(tree)).toEqual(['f h', 'd q', 'l q/r', 'l x', 'd y', 'f y/g', 'd y/z', 'f y/z/f']);
  });

  it('takes whiteouts as said about lower layers alone', () => {
    const tree = treeOf((t) => {
      t.whiteOut('gone');
      t.put('file', FILE);
      t.whiteOut('file');
      t.whiteOut('before');
      t.put('before/', FOLDER);
      t.put('after/x', FILE);
      t.whiteOut('after');
      t.whiteOut('implied');
      t.put('implied/x', FILE);
      t.makeOpaque('opaque/');
      t.put('opaque/', FOLDER);
    });
    expect(show(tree)).toEqual(['d after!', 'f after/x', 'd before!', 'f file', 'w gone', 'd implied!', 'f implied/x', 'd opaque!']);
  });

  it.each<[string, string, (tree: FileTree) => void]>([
    ['".." in a name', 'TAR_INVALID', (t) => t.put('a/../../etc/passwd', FILE)],
    ['".." in the target of a hard link', 'TAR_INVALID', (t) => t.link('a', '../../etc/passwd')],
    ['a file as parent', 'TAR_INVALID', (t) => { t.put('a', FILE); t.put('a/b', FILE); }],
    ['a loop of links', 'TAR_INVALID', (t) => { t.put('a', LINK, { target: 'b' }); t.put('b', LINK, { target: 'a' }); t.put('a/x', FILE); }],
    ['links that grow without end', 'TAR_INVALID', (t) => { t.put('a', LINK, { target: 'a/'.repeat(1000) }); t.put('a/x', FILE); }],
    ['a path of over 4,095 bytes', 'TAR_INVALID', (t) => t.put('a/'.repeat(2048), FOLDER)],
    ['a name of over 255 bytes', 'TAR_INVALID', (t) => t.put('n'.repeat(256), FILE)],
    ['a NUL in a name', 'TAR_INVALID', (t) => t.put('a\0b', FILE)],
    ['a file in place of the root', 'TAR_INVALID', (t) => t.put('./', FILE)],
    ['a whiteout of the root', 'TAR_INVALID', (t) => t.whiteOut('')],
    ['a hard link to a directory', 'TAR_INVALID', (t) => { t.put('d', FOLDER); t.link('a', 'd'); }],
    ['a hard link to the root', 'LINK_TARGET_MISSING', (t) => t.link('a', '/')],
    ['a hard link to a file of a lower layer', 'LINK_TARGET_MISSING', (t) => t.link('a', 'usr/bin/b')],
    ['a hard link to what was hidden', 'LINK_TARGET_MISSING', (t) => { t.whiteOut('b'); t.link('a', 'b'); }],
    ['too many entries', 'TOO_LARGE', (t) => { for (let n = 0; n < 1001; n += 1) t.put(`f${n}`, FILE); }],
    ['too many hard links', 'TOO_LARGE', (t) => { t.put('f', FILE); for (let n = 0; n < 1001; n += 1) t.link('l', 'f'); }],
    ['too many attributes on one directory that comes again', 'TOO_LARGE', (t) => {
      for (let n = 0; n < 100; n += 1) t.put('d', { ...FOLDER, xattrs: encodeXattrs(new Map([['user.x', Buffer.alloc(900, n)]]))! });
    }],
    ['too many implied parents', 'TOO_LARGE', (t) => t.put('a/'.repeat(1200), FOLDER)],
    ['too many bytes of names', 'TOO_LARGE', (t) => { for (let n = 0; n < 100; n += 1) t.put(`${n}${'n'.repeat(240)}`, FILE); }],
    ['too many bytes of targets', 'TOO_LARGE', (t) => { for (let n = 0; n < 10; n += 1) t.put(`${n}`, LINK, { target: 't'.repeat(4000) }); }],
  ])('refuses %s', (_, code, grow) => {
    expect(() => treeOf(grow)).toThrow(expect.objectContaining({ code }));
  });

  it('names the entry that it refuses, as text', () => {
    expect(() => treeOf((t) => t.put('caf\xc3\xa9/../x', FILE))).toThrow(expect.objectContaining({ details: { entry: 'café/../x' } }));
    expect(() => treeOf((t) => t.put('\xff/../x', FILE))).toThrow(expect.objectContaining({ details: { entry: '\\xff/../x' } }));
    expect(() => treeOf((t) => t.put(`d/${'n'.repeat(256)}`, FILE))).toThrow(expect.objectContaining({ details: { entry: `d/${'n'.repeat(198)}` } }));
    expect(() => treeOf((t) => { for (let n = 0; ; n += 1) t.put(`f${n}`, FILE); })).toThrow(expect.objectContaining({ details: { limit: 'maxEntries', max: 1000, entry: 'f1000' } }));
  });
});
