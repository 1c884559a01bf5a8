import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { BuiltTree } from './built-tree.js';
import { ErofsLayout } from './erofs-layout.js';
import { NO_XATTRS } from './erofs-xattrs.js';
import { DEFAULT_EXPANSION_LIMITS } from './expansion-limits.js';
import { ROOT } from './filesystem-tree.js';
import { sortNames } from './sort-names.js';
import { TreeStack } from './stack-trees.js';
import { STEPS_BETWEEN_TURNS } from './turns.js';

const ATTRIBUTES = { mode: 0o040755, uid: 0, gid: 0, mtimeSeconds: 0, mtimeNanoseconds: 0, xattrs: NO_XATTRS };
const NAMES = 100_000;

/** A tree of as many files, in directories of `inDirectory`. */
function treeOf(inDirectory: number): BuiltTree {
  const tree = new BuiltTree(DEFAULT_EXPANSION_LIMITS, ATTRIBUTES);
  let directory = ROOT;
  for (let index = 0; index < NAMES; index += 1) {
    if (index % inDirectory === 0) tree.setName(ROOT, `directory-${index}`, (directory = tree.add(ROOT, ATTRIBUTES)));
    tree.setName(directory, `file-${(index * 7919) % NAMES}`, tree.add(ROOT, { ...ATTRIBUTES, mode: 0o100644 }));
  }
  return tree;
}

/** How often others have their turn while `work` is done. */
async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let done = false;
  const count = (): void => {
    turns += 1;
    if (!done) setImmediate(count);
  };
  setImmediate(count);
  await work();
  done = true;
  return turns;
}

describe.each([['one directory', NAMES], ['directories of ten', 10]])('work on %s with many entries', (_, inDirectory) => {
  it('lets others have their turn after a few thousand of them, while they are laid out and while they are stacked', async () => {
    const tree = treeOf(inDirectory);
    expect(await turnsDuring(() => ErofsLayout.of(tree))).toBeGreaterThanOrEqual((2 * NAMES) / STEPS_BETWEEN_TURNS - 2);
    const stack = new TreeStack(DEFAULT_EXPANSION_LIMITS);
    expect(await turnsDuring(() => stack.addBelow({ tree, firstBlock: 0 }))).toBeGreaterThanOrEqual(NAMES / STEPS_BETWEEN_TURNS - 1);
    expect(await turnsDuring(() => stack.addBelow({ tree, firstBlock: 0 }))).toBeGreaterThanOrEqual(NAMES / STEPS_BETWEEN_TURNS - 1);
    expect(await turnsDuring(() => stack.finish())).toBeGreaterThanOrEqual(NAMES / STEPS_BETWEEN_TURNS - 1);
  });
});

describe('sortNames', () => {
  it('sorts as all at once would, however many there are', async () => {
    const name = fc.string({ unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)), minLength: 1, maxLength: 3 });
    await fc.assert(fc.asyncProperty(fc.uniqueArray(name, { maxLength: 50 }), fc.nat({ max: 3 * STEPS_BETWEEN_TURNS }), async (some, more) => {
      const names = [...some, ...Array.from({ length: more }, (_, index) => `${(index * 7919) % 104_729}`)];
      expect(await sortNames(names)).toEqual(names.toSorted());
    }), { numRuns: 30, examples: [[[], STEPS_BETWEEN_TURNS], [[], STEPS_BETWEEN_TURNS + 1], [['b', 'a'], 3 * STEPS_BETWEEN_TURNS]] });
  });
});
