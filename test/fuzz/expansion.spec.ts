import { describe, expect, it } from 'vitest';

import { hasProgram, tarOf } from '#expansion/testing';

import { caseOf, type FuzzOutcome, runCase } from './expansion-case.js';
import { checkFilesystem } from './filesystem-checks.js';
import { INTERESTING_TARS } from './interesting-tars.js';
import { TAR_RECIPES } from './tar-recipes.js';

const CASES = 400;
const CHECKED_CASES = 12;

describe('the expansion of damaged layers', () => {
  it(`ends in a coded refusal or a whole file, for ${CASES} of them`, async () => {
    const kinds = new Map<string, number>();
    for (let seed = 1; seed <= CASES; seed += 1) {
      const outcome = await runCase(caseOf(seed)).catch((error: unknown) => {
        throw new Error(`case ${seed}`, { cause: error });
      });
      const kind = outcome.kind === 'expanded' ? 'expanded' : outcome.code;
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    }
    // The campaign is worth something only while it reaches both ends.
    expect(kinds.get('expanded')).toBeGreaterThan(CASES / 5);
    expect([...kinds.keys()].toSorted()).toEqual(['COMPRESSION_INVALID', 'ENTRY_UNSUPPORTED', 'LAYER_UNSUPPORTED', 'LINK_TARGET_MISSING', 'TAR_INVALID', 'TOO_LARGE', 'expanded']);
  });

  it.skipIf(!hasProgram('fsck.erofs'))('gives filesystems that others find valid', async () => {
    let checked = 0;
    for (let seed = 10_000; checked < CHECKED_CASES; seed += 1) {
      const fuzzCase = caseOf(seed);
      const outcome = await runCase(fuzzCase);
      if (outcome.kind !== 'expanded') continue;
      await checkFilesystem(fuzzCase.tar, outcome.expanded, outcome.share);
      checked += 1;
    }
  });

  it('gives the same case for the same number', () => {
    expect(caseOf(7)).toEqual(caseOf(7));
    expect(caseOf(7)).not.toEqual(caseOf(8));
  });
});

describe('a tar that the campaign starts from', () => {
  it.each(TAR_RECIPES.map((entries, index) => [index, entries] as const))('is expanded: number %i', async (_, entries) => {
    const tar = tarOf(...entries);
    expect(await runCase({ tar, blob: tar, chunkBytes: 513 })).toMatchObject({ kind: 'expanded' });
  });
});

describe('a tar that was trouble, or nearly', () => {
  it.each(INTERESTING_TARS.map((interesting) => [interesting.title, interesting] as const))('ends as it should: %s', async (_, { tar, outcome }) => {
    const bytes = tar();
    const actual: FuzzOutcome = await runCase({ tar: bytes, blob: bytes, chunkBytes: 1000 });
    expect(actual.kind === 'expanded' ? 'expanded' : actual.code).toBe(outcome);
  });
});
