import { expect, it } from 'vitest';

import { estimateExpandedBytes, USUAL_RATIO } from './estimate-expansion.js';
import { EXPANDABLE_MEDIA_TYPES } from './layer-media-types.js';

it('takes plain tars as they are, and compressed ones for the usual multiple', () => {
  const ratios = [...EXPANDABLE_MEDIA_TYPES].map((mediaType) => [mediaType, estimateExpandedBytes({ mediaType, sizeBytes: 1000 }) / 1000]);
  for (const [mediaType, ratio] of ratios) expect([mediaType, ratio]).toEqual([mediaType, String(mediaType).endsWith('tar') ? 1 : USUAL_RATIO]);
});
