import { expect, it } from 'vitest';

import { runLargeLayers } from './large-layers.js';

/** So many that what an expansion holds of any layer is little beside them, and so few that they take seconds. */
const ENTRY_COUNT = 300_000;

it('expands a layer of many files with a bounded memory for each', { timeout: 120_000 }, async () => {
  const figures = await runLargeLayers({ only: 'files in one directory', entryCount: ENTRY_COUNT }, () => undefined);
  expect(figures).toMatchObject([{ unit: 'bytes an entry', holds: true }]);
  // A measurement that missed the tree would hold as well.
  expect(figures[0]!.value).toBeGreaterThan(50);
});
