import { execFile } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { gzipSync, zstdCompressSync } from 'node:zlib';

import fc from 'fast-check';
import { type Header, pack } from 'tar-stream';
import { describe, expect, it } from 'vitest';

import { canMountLayers, differencesFromTar, hasProgram, readTree, tarOf, temporaryFolder, withMountedLayer } from '#expansion/testing';

const run = promisify(execFile);
const DEB_FOLDER = '/var/cache/apt/archives';
/** Packages that are compared, all of them or none. */
const PACKAGE_COUNT = 20;
const MAX_DEB_BYTES = 3_000_000;
/** What the older formats cannot express: long names and targets, owners over 2²¹; special files in v7. */
const UNKNOWN_TO: Readonly<Record<string, readonly string[]>> = {
  ustar: ['*very-long*', '*long-target', '*odd'],
  v7: ['./device', './block', './pipe', '*long*', '*odd'],
};

function smallDebs(): string[] {
  try {
    const all = readdirSync(DEB_FOLDER).filter((name) => name.endsWith('.deb')).sort();
    return all.filter((name) => statSync(`${DEB_FOLDER}/${name}`).size <= MAX_DEB_BYTES).slice(0, PACKAGE_COUNT);
  } catch {
    return [];
  }
}

describe.skipIf(!canMountLayers())('an expanded layer, mounted', () => {
  it.each(['pax', 'gnu', 'ustar', 'v7'])('equals the extraction of a tree with every kind of file that GNU tar wrote in %s format', async (format) => {
    await using folder = await temporaryFolder();
    await makeTree(`${folder.path}/tree`);
    await run('tar', ['--create', '--file', `${folder.path}/x.tar`, `--format=${format}`, ...(format === 'pax' ? ['--xattrs', '--xattrs-include=*'] : []),
      '--numeric-owner', '--sort=name', ...(UNKNOWN_TO[format] ?? []).map((name) => `--exclude=${name}`), '--directory', `${folder.path}/tree`, '.']);
    const tar = await readFile(`${folder.path}/x.tar`);
    expect(await differencesFromTar(tar)).toEqual([]);
  });

  const debs = smallDebs();
  // Where there are too few, one case stands for all, so that it is seen to be skipped.
  const hasPackages = debs.length >= PACKAGE_COUNT && hasProgram('dpkg-deb');
  it.skipIf(!hasPackages).each(hasPackages ? debs : [`(fewer than ${PACKAGE_COUNT} are at hand)`])('equals the extraction of the package %s', async (deb) => {
    await using folder = await temporaryFolder();
    const tarFile = `${folder.path}/data.tar`;
    await run('sh', ['-c', 'dpkg-deb --fsys-tarfile "$1" > "$2"', 'sh', `${DEB_FOLDER}/${deb}`, tarFile]);
    const tar = await readFile(tarFile);
    const blobs = [tar, gzipSync(tar, { level: 1 }), zstdCompressSync(tar)];
    expect(await differencesFromTar(tar, { blob: blobs[deb.length % blobs.length]! })).toEqual([]);
  });

  it('equals the extraction of any sequence of entries', { timeout: 120_000 }, async () => {
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 30 }), fc.constantFrom('plain', 'gzip', 'zstd'), async (steps, form) => {
      const tar = await tarOfSteps(steps);
      const blob = form === 'plain' ? tar : form === 'gzip' ? gzipSync(tar) : zstdCompressSync(tar);
      expect(await differencesFromTar(tar, { blob })).toEqual([]);
    }), { numRuns: 25 });
  });

  it.each([['gnu', undefined], ['pax', '0.0'], ['pax', '0.1'], ['pax', '1.0']])('equals the extraction of sparse files that GNU tar wrote in format %s %s', async (format, version) => {
    await using folder = await temporaryFolder();
    await run('sh', ['-ec', `
      mkdir "$1/tree"; cd "$1/tree"
      truncate -s 40M holes; for at in 0 3 4 5 17 18 39; do printf "part $at" | dd of=holes bs=1M seek=$at conv=notrunc status=none; done
      truncate -s 30M many; for at in $(seq 0 2 60); do printf "part $at" | dd of=many bs=64k seek=$at conv=notrunc status=none; done
      truncate -s 9M empty; printf end > plain
    `, 'sh', folder.path]);
    await run('tar', ['--create', '--file', `${folder.path}/x.tar`, '--sparse', '--hole-detection=seek', `--format=${format}`, ...(version === undefined ? [] : [`--sparse-version=${version}`]),
      '--directory', `${folder.path}/tree`, '.']);
    const tar = await readFile(`${folder.path}/x.tar`);
    expect(tar.length).toBeLessThan(1_000_000);
    expect(await differencesFromTar(tar)).toEqual([]);
  });

  it('holds directories of many blocks, in the order of bytes', async () => {
    const names = Array.from({ length: 5000 }, (_, index) => `many/${'xyz!-~é'.charAt(index % 7)}${index}${'n'.repeat(index % 90)}`);
    const tar = tarOf({ name: 'many/', type: '5', mode: 0o755 }, ...names.map((name) => ({ name })));
    expect(await differencesFromTar(tar)).toEqual([]);
  });

  it('holds names that are no UTF-8', async () => {
    const tar = tarOf({ name: 'caf\xe9', contents: 'x' }, { name: '\xff\xfe', type: '2', linkName: '\x80\x81' }, { name: 'd\xf0/', type: '5', mode: 0o700 }, { name: 'd\xf0/\xc3\x28' });
    expect(await differencesFromTar(tar, { anyTime: ['d\xf0'] })).toEqual([]);
  });

  it('holds a link target of 4,095 bytes and attributes of 65,535, the most that the format has room for', async () => {
    const target = `${'t'.repeat(200)}/`.repeat(21).slice(0, 4095);
    const pax = { linkpath: target };
    const value = 'v'.repeat(65_535);
    const tar = tarOf(
      { name: 'link', type: '2', linkName: 'short', pax },
      { name: 'one', pax: { 'SCHILY.xattr.trusted.big': value, 'SCHILY.xattr.trusted.small': 'x\0y' } },
      { name: 'two', pax: { 'SCHILY.xattr.trusted.big': value } },
    );
    const tree = await withMountedLayer(tar, {}, readTree);
    expect(tree.get('link')?.target).toBe(target);
    expect(tree.get('one')?.xattrs).toEqual({ 'trusted.big': value, 'trusted.small': 'x\0y' });
    expect(tree.get('two')?.xattrs).toEqual({ 'trusted.big': value });
  });

  it('makes missing parents, owned by root, from the beginning of 1970', async () => {
    const tar = tarOf({ name: 'a/b/c', contents: 'deep' });
    expect(await differencesFromTar(tar, { anyTime: ['.', 'a', 'a/b'] })).toEqual([]);
    const tree = await withMountedLayer(tar, {}, readTree);
    expect(tree.get('a/b')).toMatchObject({ type: 'directory', mode: 0o755, uid: 0, gid: 0, mtimeNs: 0n });
  });

  it('follows a symbolic link of the same layer in the path of a later entry, and stays in the tree', async () => {
    const tar = tarOf(
      { name: 'usr/lib/', type: '5', mode: 0o755 },
      { name: 'lib', type: '2', linkName: 'usr/lib' },
      { name: 'lib/x', contents: 'through a link' },
      { name: 'out', type: '2', linkName: '/../../etc' },
      { name: 'out/passwd', contents: 'inside' },
    );
    const tree = await withMountedLayer(tar, {}, readTree);
    expect([...tree.keys()].sort()).toEqual(['.', 'etc', 'etc/passwd', 'lib', 'out', 'usr', 'usr/lib', 'usr/lib/x']);
  });

  it('hides what lower layers hold when overlayfs stacks it on them, and lists no whiteout, be its directory merged or not', async () => {
    const tar = tarOf(
      { name: '.wh.gone' },
      { name: 'opaque/.wh..wh..opq' },
      { name: 'opaque/new', contents: 'new' },
      { name: '.wh.replaced' },
      { name: 'replaced/', type: '5', mode: 0o755 },
      { name: 'replaced/only', contents: 'only' },
      { name: 'merged/', type: '5', mode: 0o755 },
      { name: 'merged/.wh.one' },
      { name: 'alone/.wh.nothing' },
      { name: 'opaque/.wh.nothing' },
      { name: '.whatever', contents: 'stays' },
      { name: 'a.wh.b', contents: 'stays' },
    );
    const names = await withMountedLayer(tar, {}, async (mounted, folder) => {
      const layers = await readTree(mounted);
      expect(layers.get('gone')).toMatchObject({ type: 'character', device: '0:0', mode: 0 });
      expect(layers.get('opaque')?.xattrs).toEqual({ 'trusted.overlay.opaque': 'y', 'trusted.overlay.origin': '' });
      expect(layers.get('merged')?.xattrs).toEqual({ 'trusted.overlay.origin': '' });
      for (const name of ['opaque', 'replaced', 'merged', 'stack']) await mkdir(`${folder}/lower/${name}`, { recursive: true });
      for (const name of ['gone', 'kept', 'opaque/old', 'replaced/old', 'merged/one', 'merged/two']) await writeFile(`${folder}/lower/${name}`, 'lower');
      await mkdir(`${folder}/stacked`);
      await run('mount', ['-t', 'overlay', '-o', `ro,lowerdir=${mounted}:${folder}/lower`, 'overlay', `${folder}/stacked`]);
      try {
        return (await readdir(`${folder}/stacked`, { recursive: true })).sort();
      } finally {
        await run('umount', [`${folder}/stacked`]);
      }
    });
    expect(names).toEqual(['.whatever', 'a.wh.b', 'alone', 'kept', 'merged', 'merged/two', 'opaque', 'opaque/new', 'replaced', 'replaced/only', 'stack']);
  });
});

/** A tree with every kind of file, attributes and times that a layer can hold. */
async function makeTree(folder: string): Promise<void> {
  const deep = Array.from({ length: 6 }, (_, index) => `very-long-directory-name-${index}-${'x'.repeat(60)}`).join('/');
  await run('sh', ['-ec', `
    mkdir -p "$1/dir/empty" "$1/long/${'n'.repeat(90)}" "$1/very-long/${deep}"
    cd "$1"
    printf hello > file; head -c 4096 /dev/urandom > block-sized; head -c 100001 /dev/urandom > dir/odd; : > empty-file
    truncate -s 5M zeros; printf end >> zeros
    printf deep > "long/${'n'.repeat(90)}/${'m'.repeat(90)}"; printf deeper > "very-long/${deep}/${'f'.repeat(200)}"
    ln file dir/hard; ln file dir/harder; ln -s file soft; ln -s /absolute/elsewhere dir/dangling; ln -s "$(printf '%0100d' 7)x" dir/long-target
    ln soft dir/hard-soft
    mknod device c 4094 1048575; mknod block b 7 300; mkfifo pipe
    chmod 4755 file; chmod 1777 dir; chmod 000 empty-file; chmod 2750 dir/empty
    chown 1234:2000000000 dir/odd; chown -h 65534:5 soft; chown 99:98 dir
    touch -d '1969-12-31T23:59:58.25Z' dir/odd; touch -d '2038-01-20T00:00:00.123456789Z' file; touch -h -d '2001-01-01T00:00:00.5Z' soft
    touch -d '2020-02-02T02:02:02.000000001Z' dir/empty dir
  `, 'sh', folder]);
  await run('python3', ['-c', `
import os, sys
os.chdir(sys.argv[1])
os.setxattr('file', 'user.note', b'text')
os.setxattr('file', 'security.capability', bytes.fromhex('0100000200200000000000000000000000000000'))
os.setxattr('dir', 'trusted.binary', bytes(range(256)))
os.setxattr('dir', 'user.empty', b'')
os.setxattr('soft', 'trusted.on-link', b'1', follow_symlinks=False)
`, folder]);
}

interface Step {
  readonly kind: 'file' | 'directory' | 'symlink' | 'link' | 'character-device' | 'fifo';
  readonly path: readonly string[];
  readonly mode: number;
  readonly owner: number;
  readonly seconds: number;
  readonly fraction: string;
  readonly size: number;
  readonly target: number;
  readonly xattr: string | undefined;
}

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('file', 'file', 'directory', 'symlink', 'link', 'character-device', 'fifo'),
  path: fc.array(fc.constantFrom('a', 'b', 'A', 'é', 'a b', `long-${'l'.repeat(120)}`), { minLength: 1, maxLength: 3 }),
  mode: fc.constantFrom(0o644, 0o755, 0o4711, 0o1777, 0o000),
  owner: fc.constantFrom(0, 1000, 70_000),
  seconds: fc.integer({ min: 0, max: 2 ** 33 - 1 }),
  fraction: fc.constantFrom('', '.5', '.000000001', '.123456789'),
  size: fc.constantFrom(0, 1, 4095, 4096, 4097, 70_000),
  target: fc.nat(),
  xattr: fc.option(fc.constantFrom('short', 'v'.repeat(2000)), { nil: undefined }),
});

/** A well-formed tar: parents are there and are directories, links lead to files that are there. Written by a library that is not ours. */
async function tarOfSteps(steps: readonly Step[]): Promise<Buffer> {
  const tar = pack();
  const bytes = buffer(tar);
  const present = new Map<string, Step['kind']>();
  const drop = (path: string): void => {
    for (const name of present.keys()) if (name === path || name.startsWith(`${path}/`)) present.delete(name);
  };
  for (const { kind, path, ...rest } of steps) {
    const parents = path.slice(0, -1).map((_, index) => path.slice(0, index + 1).join('/'));
    if (parents.some((parent) => present.has(parent) && present.get(parent) !== 'directory')) continue;
    for (const parent of parents.filter((name) => !present.has(name))) {
      tar.entry({ name: `${parent}/`, type: 'directory', mode: 0o755, mtime: new Date(1_000_000) });
      present.set(parent, 'directory');
    }
    const name = path.join('/');
    // GNU tar empties a directory that comes again when it is told to replace whole directories by files.
    if (kind === 'directory' && present.get(name) === 'directory') continue;
    const files = [...present].filter(([other, type]) => type !== 'directory' && other !== name && !other.startsWith(`${name}/`)).map(([other]) => other);
    if (kind === 'link' && files.length === 0) continue;
    drop(name);
    present.set(name, kind);
    const withXattr = rest.xattr !== undefined && (kind === 'file' || kind === 'directory');
    const header = {
      name: kind === 'directory' ? `${name}/` : name,
      type: kind,
      mode: rest.mode,
      uid: rest.owner,
      gid: rest.owner,
      // The library writes times of over 31 bits wrongly into the header; the record beside it is what counts.
      mtime: new Date((rest.seconds % 2 ** 31) * 1000),
      pax: { mtime: `${rest.seconds}${rest.fraction}`, ...(withXattr ? { 'SCHILY.xattr.user.note': rest.xattr! } : {}) },
      ...(kind === 'symlink' ? { linkname: `to/${rest.target}` } : {}),
      ...(kind === 'link' ? { linkname: files[rest.target % files.length]! } : {}),
      ...(kind === 'character-device' ? { devmajor: 1, devminor: rest.target % 256 } : {}),
    } as Header;
    if (kind === 'file') tar.entry(header, Buffer.alloc(rest.size, `${rest.target}.`));
    else tar.entry(header);
  }
  tar.finalize();
  return bytes;
}
