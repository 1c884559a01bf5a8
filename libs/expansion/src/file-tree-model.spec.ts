import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { FILE_TYPE } from './erofs-structures.js';
import { NO_XATTRS } from './erofs-xattrs.js';
import { DEFAULT_EXPANSION_LIMITS, MAX_SYMLINKS_FOLLOWED } from './expansion-limits.js';
import { FileTree } from './file-tree.js';
import { ROOT } from './filesystem-tree.js';
import type { Attributes } from './inode-table.js';

type Kind = 'file' | 'directory' | 'symlink' | 'whiteout';

/** One file of the model; two paths with the same one are hard links. */
interface Node {
  kind: Kind;
  /** Which step made it; 0 for what is implied. */
  step: number;
  target: string;
  isOpaque: boolean;
}

/** The same tree told in another way: files by their whole paths, every operation on paths alone. What it refuses it throws. */
class PathModel {
  readonly files = new Map<string, Node>();

  put(path: string, kind: Kind, step: number, target = ''): void {
    const at = this.#placeOf(path);
    const existing = this.files.get(at);
    if (kind === 'directory' && (existing?.kind === 'directory' || at === '')) {
      if (existing !== undefined) existing.step = step;
      return;
    }
    if (at === '') throw new Error('the root');
    this.#replace(at, { kind, step, target, isOpaque: kind === 'directory' && existing?.kind === 'whiteout' });
  }

  link(path: string, target: string): void {
    const names = namesOf(target);
    const last = names.pop();
    const folder = last === undefined ? undefined : this.#walk('', names, false);
    const node = folder === undefined ? undefined : this.files.get(`${folder}/${last}`);
    if (node === undefined || node.kind === 'whiteout' || node.kind === 'directory') throw new Error('no such file');
    const at = this.#placeOf(path);
    if (at === '') throw new Error('the root');
    this.#replace(at, node);
  }

  whiteOut(path: string): void {
    const at = this.#placeOf(path);
    if (at === '') throw new Error('the root');
    const existing = this.files.get(at);
    if (existing === undefined) this.files.set(at, { kind: 'whiteout', step: 0, target: '', isOpaque: false });
    else if (existing.kind === 'directory') existing.isOpaque = true;
  }

  makeOpaque(path: string): void {
    const at = this.#walk('', namesOf(path), true)!;
    if (at !== '') this.files.get(at)!.isOpaque = true;
  }

  #placeOf(path: string): string {
    const names = namesOf(path);
    const last = names.pop();
    const folder = this.#walk('', names, true)!;
    return last === undefined ? folder : `${folder}/${last}`;
  }

  #walk(from: string, names: readonly string[], make: boolean, followed = { count: 0 }): string | undefined {
    let at: string | undefined = from;
    for (const name of names) {
      if (at === undefined) return undefined;
      at = name === '..' ? at.slice(0, Math.max(at.lastIndexOf('/'), 0)) : this.#step(at, name, make, followed);
    }
    return at;
  }

  #step(folder: string, name: string, make: boolean, followed: { count: number }): string | undefined {
    const path = `${folder}/${name}`;
    const node = this.files.get(path);
    if (node?.kind === 'directory') return path;
    if (node?.kind === 'symlink') {
      followed.count += 1;
      if (followed.count > MAX_SYMLINKS_FOLLOWED) throw new Error('a loop');
      return this.#walk(node.target.startsWith('/') ? '' : folder, node.target.split('/').filter((part) => part !== '' && part !== '.'), make, followed);
    }
    if (node?.kind === 'file') throw new Error('no directory');
    if (!make) return undefined;
    this.files.set(path, { kind: 'directory', step: 0, target: '', isOpaque: node?.kind === 'whiteout' });
    return path;
  }

  #replace(path: string, node: Node): void {
    for (const other of this.files.keys()) if (other.startsWith(`${path}/`)) this.files.delete(other);
    this.files.set(path, node);
  }
}

function namesOf(path: string): string[] {
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  if (names.includes('..')) throw new Error('".."');
  return names;
}

const path = fc.array(fc.oneof({ weight: 20, arbitrary: fc.constantFrom('a', 'a', 'b', 'b', 'c', '.', '') }, { weight: 1, arbitrary: fc.constant('..') }), { minLength: 1, maxLength: 4 }).map((names) => names.join('/'));
const target = fc.tuple(fc.constantFrom('', '/', '../', './'), fc.array(fc.constantFrom('a', 'b', 'c', '..'), { minLength: 1, maxLength: 3 })).map(([start, names]) => start + names.join('/'));
const operation = fc.oneof(
  fc.record({ kind: fc.constantFrom('file' as const, 'directory' as const, 'directory' as const), path }),
  fc.record({ kind: fc.constant('symlink' as const), path, target }),
  fc.record({ kind: fc.constant('link' as const), path, target: path }),
  fc.record({ kind: fc.constantFrom('whiteOut' as const, 'makeOpaque' as const), path }),
);
type Operation = (typeof operation) extends fc.Arbitrary<infer Value> ? Value : never;

const MODES = { file: FILE_TYPE.regular, directory: FILE_TYPE.directory, symlink: FILE_TYPE.symlink };
const attributes = (kind: keyof typeof MODES, step: number): Attributes => ({ mode: MODES[kind] | 0o644, uid: step, gid: 0, mtimeSeconds: 1, mtimeNanoseconds: 0, xattrs: NO_XATTRS });

function apply(tree: FileTree, model: PathModel, done: Operation, step: number): [unknown, unknown] {
  const outcome = (act: () => void): unknown => {
    try {
      return act();
    } catch (error) {
      return error;
    }
  };
  switch (done.kind) {
    case 'link': return [outcome(() => tree.link(done.path, done.target)), outcome(() => model.link(done.path, done.target))];
    case 'symlink': return [outcome(() => tree.put(done.path, attributes('symlink', step), { target: done.target })), outcome(() => model.put(done.path, 'symlink', step, done.target))];
    case 'whiteOut': return [outcome(() => tree.whiteOut(done.path)), outcome(() => model.whiteOut(done.path))];
    case 'makeOpaque': return [outcome(() => tree.makeOpaque(done.path)), outcome(() => model.makeOpaque(done.path))];
    case 'file':
    case 'directory': return [outcome(() => tree.put(done.path, attributes(done.kind, step))), outcome(() => model.put(done.path, done.kind, step))];
  }
}

/** A line for every path: kind, the step that made it, opaqueness, and the first path that is the same file. */
function linesOf(entries: Iterable<readonly [string, { readonly kind: string; readonly step: number; readonly isOpaque: boolean; readonly same: unknown }]>): string[] {
  const first = new Map<unknown, string>();
  return [...entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, { kind, step, isOpaque, same }]) => {
    if (!first.has(same)) first.set(same, name);
    return `${name} ${kind} ${step}${isOpaque ? ' opaque' : ''}${first.get(same) === name ? '' : ` = ${first.get(same)}`}`;
  });
}

function* entriesOf(tree: FileTree, directory = ROOT, prefix = ''): Generator<[string, { kind: string; step: number; isOpaque: boolean; same: unknown }]> {
  for (const [name, inode] of tree.directory(directory)!.children) {
    const { mode, uid } = tree.inodes.read(inode);
    const kind = { [FILE_TYPE.regular]: 'file', [FILE_TYPE.directory]: 'directory', [FILE_TYPE.symlink]: 'symlink', [FILE_TYPE.character]: 'whiteout' }[mode & 0o170000]!;
    yield [`${prefix}/${name}`, { kind, step: uid, isOpaque: tree.isOpaque(inode), same: inode }];
    if (kind === 'directory') yield* entriesOf(tree, inode, `${prefix}/${name}`);
  }
}

describe('FileTree', () => {
  it('is what a model of whole paths says, after any sequence of entries, refusals among them', () => {
    fc.assert(fc.property(fc.array(operation, { maxLength: 25 }), (operations) => {
      const tree = new FileTree(DEFAULT_EXPANSION_LIMITS);
      const model = new PathModel();
      for (const [index, done] of operations.entries()) {
        const [ours, theirs] = apply(tree, model, done, index + 1);
        expect(ours === undefined).toBe(theirs === undefined);
        if (ours !== undefined) expect(ours).toMatchObject({ name: 'ExpansionError', details: { entry: done.path } });
      }
      expect(linesOf(entriesOf(tree))).toEqual(linesOf([...model.files].map(([name, node]) => [name, { ...node, same: node }])));
    }), { numRuns: 2000 });
  });
});
