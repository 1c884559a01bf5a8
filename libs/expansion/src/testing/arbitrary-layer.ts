import fc from 'fast-check';

import { type RawTarEntry, tarOf } from './tar-builder.js';

/** What a step may leave behind. */
const KINDS = ['file', 'file', 'file', 'directory', 'directory', 'symlink', 'link', 'device', 'fifo', 'whiteout', 'whiteout', 'opaque'] as const;
/** Few names, so that layers meet: one of them is no UTF-8, one makes directories large. */
const NAMES = ['a', 'b', 'c', 'dé', '\xff\xfe', `long-${'l'.repeat(200)}`];
const XATTRS: readonly Readonly<Record<string, string>>[] = [
  {}, {}, {},
  { 'SCHILY.xattr.trusted.note': 'short' },
  { 'SCHILY.xattr.user.note': 'v'.repeat(1500), 'SCHILY.xattr.trusted.note': 'short' },
];

interface Step {
  readonly kind: (typeof KINDS)[number];
  readonly path: readonly string[];
  readonly mode: number;
  readonly owner: number;
  readonly seconds: number;
  readonly size: number;
  readonly target: number;
  readonly xattrs: Readonly<Record<string, string>>;
}

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(...KINDS),
  path: fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 3 }),
  mode: fc.constantFrom(0o644, 0o755, 0o4711, 0o1777, 0),
  owner: fc.constantFrom(0, 1000, 70_000),
  seconds: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
  size: fc.constantFrom(0, 1, 4095, 4096, 4097, 70_000),
  target: fc.nat({ max: 1000 }),
  xattrs: fc.constantFrom(...XATTRS),
});

/** Tars of small layers in which everything happens that a layer can do to those below it; all of them can be expanded. */
export const arbitraryLayer: fc.Arbitrary<Buffer> = fc.array(step, { maxLength: 15 }).map((steps) => tarOf(...entriesOf(steps)));

/** The steps that make sense after those before them: parents are no files, links lead to files of the layer. */
function entriesOf(steps: readonly Step[]): RawTarEntry[] {
  const present = new Map<string, Step['kind']>();
  const entries: RawTarEntry[] = [];
  for (const { kind, path, mode, owner, seconds, size, target, xattrs } of steps) {
    const parents = path.slice(0, -1).map((_, index) => path.slice(0, index + 1).join('/'));
    if (parents.some((parent) => present.has(parent) && present.get(parent) !== 'directory')) continue;
    const name = path.join('/');
    const files = [...present].filter(([other, type]) => type !== 'directory' && type !== 'whiteout' && other !== name && !other.startsWith(`${name}/`));
    if (kind === 'link' && files.length === 0) continue;
    if (kind === 'opaque' && present.has(name) && present.get(name) !== 'directory') continue;
    // A whiteout of what the layer itself has says only that lower layers' is hidden.
    if (kind === 'whiteout' && present.has(name)) continue;
    for (const parent of parents) present.set(parent, 'directory');
    const isDirectory = kind === 'directory' || kind === 'opaque';
    if (!isDirectory) for (const other of present.keys()) if (other === name || other.startsWith(`${name}/`)) present.delete(other);
    if (isDirectory && present.get(name) !== 'directory') present.delete(name);
    present.set(name, isDirectory ? 'directory' : kind);
    const common = { name, mode, uid: owner, gid: owner, mtime: seconds, ...(Object.keys(xattrs).length === 0 ? {} : { pax: xattrs }) };
    const folder = parents.at(-1) === undefined ? '' : `${parents.at(-1)}/`;
    switch (kind) {
      case 'file': entries.push({ ...common, contents: `${target}.`.repeat(size).slice(0, size) }); break;
      case 'directory': entries.push({ ...common, name: `${name}/`, type: '5' }); break;
      case 'symlink': entries.push({ ...common, type: '2', linkName: `to/${target}` }); break;
      case 'link': entries.push({ ...common, type: '1', linkName: files[target % files.length]![0] }); break;
      case 'device': entries.push({ ...common, type: '3', major: 1, minor: target % 256 }); break;
      case 'fifo': entries.push({ ...common, type: '6' }); break;
      case 'whiteout': entries.push({ name: `${folder}.wh.${path.at(-1)}` }); break;
      case 'opaque': entries.push({ name: `${name}/.wh..wh..opq` }); break;
    }
  }
  return entries.map(withLongNames);
}

/** Names and targets of over 100 bytes stand in pax records, where they are text: those that are no UTF-8 are kept short. */
function withLongNames(entry: RawTarEntry): RawTarEntry {
  const pax = {
    ...entry.pax,
    ...(entry.name.length > 100 ? { path: entry.name } : {}),
    ...((entry.linkName?.length ?? 0) > 100 ? { linkpath: entry.linkName! } : {}),
  };
  return Object.keys(pax).length === 0 ? entry : { ...entry, pax };
}
