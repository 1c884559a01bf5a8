import { BuiltTree } from './built-tree.js';
import { FILE_TYPE, FILE_TYPE_MASK } from './erofs-structures.js';
import { refuseSize } from './expansion-error.js';
import type { ExpansionLimits } from './expansion-limits.js';
import { type Contents, type FilesystemTree, isWhiteout, ROOT } from './filesystem-tree.js';
import { Turns } from './turns.js';

/** What is between the names of a directory and the numbers of its inodes while layers are added. */
const NOT_TAKEN = -1;

/** One layer of a stack. */
export interface StackedLayer {
  readonly tree: FilesystemTree;
  /** Where the layer's blocks begin in the stack's address space: added to the first block of every file. */
  readonly firstBlock: number;
}

/**
 * Stacks the trees of layers as overlayfs shows them (Documentation/filesystems/overlayfs.rst, "Upper and Lower", "Directories",
 * "whiteouts and opaque directories", "Multiple lower layers"), from the topmost down, so that nothing is held of what is hidden:
 *
 * - of two things of one name the upper counts; two directories merge, with the attributes of the upper one;
 * - an opaque directory shows nothing of the layers below its own; neither does a directory below whose layer a whiteout or a file has its name;
 * - whiteouts hide and are not shown, whether anything is below them or not;
 * - names of one file stay names of one file, as many as are left.
 *
 * Files have the block addresses that {@link StackedLayer.firstBlock} gives them. A layer that comes a second time further down adds nothing.
 */
export class TreeStack {
  readonly #limits: Pick<ExpansionLimits, 'maxEntries' | 'maxNameBytes'>;
  /** Names that stand for nothing, by directory. */
  readonly #hidden = new Map<number, Set<string>>();
  /** Directories that take nothing from the layers that are still to come. */
  readonly #closed = new Set<number>();
  readonly #turns = new Turns();
  #tree: BuiltTree | undefined;
  #hiddenCount = 0;

  constructor(limits: Pick<ExpansionLimits, 'maxEntries' | 'maxNameBytes'>) {
    this.#limits = limits;
  }

  /**
   * Adds the layer below those that were added so far: one after the other. The layer's tree is not kept. Everything else that the process does has its
   * turn now and then.
   * @throws {ExpansionError} `TOO_LARGE` when what is shown passes a limit.
   */
  async addBelow(layer: StackedLayer): Promise<void> {
    const { tree } = layer;
    if (this.#closed.has(ROOT)) return;
    const stacked = (this.#tree ??= new BuiltTree(this.#limits, tree.inodes.read(ROOT)));
    const taken = new Int32Array(tree.inodes.count).fill(NOT_TAKEN);
    const take = (inode: number, parent: number): number => {
      if (taken[inode] === NOT_TAKEN) taken[inode] = stacked.add(parent, tree.inodes.read(inode), contentsOf(layer, inode));
      return taken[inode]!;
    };
    const merging = [{ from: ROOT, into: ROOT }];
    for (let next = 0; next < merging.length; next += 1) {
      const { from, into } = merging[next]!;
      const present = stacked.directory(into)!.children;
      for (const [name, inode] of tree.directory(from)!.children) {
        if (this.#turns.isDue()) await this.#turns.others();
        if (this.#hidden.get(into)?.has(name) === true) continue;
        const above = present.get(name);
        const isDirectory = tree.directory(inode) !== undefined;
        if (above === undefined && isWhiteout(tree, inode)) {
          this.#hide(into, name);
        } else if (above === undefined) {
          const added = take(inode, into);
          stacked.setName(into, name, added);
          if (isDirectory) merging.push({ from: inode, into: added });
        } else if (stacked.directory(above) !== undefined && !this.#closed.has(above)) {
          if (isDirectory) merging.push({ from: inode, into: above });
          else this.#closed.add(above);
        }
      }
      if (tree.isOpaque(from)) this.#closed.add(into);
    }
  }

  /**
   * The stack of everything that was added, at least one layer; nothing is added afterwards. Its names are not in the order of their bytes, it has no
   * whiteouts and no opaque directories, and attributes that several inodes have are marked to be kept once.
   */
  async finish(): Promise<FilesystemTree> {
    const tree = this.#tree!;
    this.#hidden.clear();
    await tree.inodes.shareRepeatedXattrs();
    return tree;
  }

  #hide(directory: number, name: string): void {
    this.#hiddenCount += 1;
    if (this.#hiddenCount > this.#limits.maxEntries) throw refuseSize('maxEntries', this.#limits.maxEntries);
    const names = this.#hidden.get(directory);
    if (names === undefined) this.#hidden.set(directory, new Set([name]));
    else names.add(name);
  }
}

/** Stacks layers, lowest first. See {@link TreeStack}. */
export async function stackTrees(layers: readonly StackedLayer[], limits: Pick<ExpansionLimits, 'maxEntries' | 'maxNameBytes'>): Promise<FilesystemTree> {
  const stack = new TreeStack(limits);
  for (const layer of layers.toReversed()) await stack.addBelow(layer);
  return stack.finish();
}

function contentsOf({ tree, firstBlock }: StackedLayer, inode: number): Contents {
  const { mode, sizeBytes, blockOrDevice } = tree.inodes.read(inode);
  const target = tree.target(inode);
  if (target !== undefined) return { target };
  if ((mode & FILE_TYPE_MASK) !== FILE_TYPE.regular) return { device: blockOrDevice };
  return sizeBytes === 0 ? { sizeBytes } : { sizeBytes, block: firstBlock + blockOrDevice };
}
