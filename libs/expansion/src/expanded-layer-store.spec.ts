import { describe } from 'vitest';

import { expandedLayerStoreConforms } from './testing/expanded-layer-store-conformance.js';
import { MemoryExpandedLayerStore } from './testing/memory-expanded-layer-store.js';

describe('expanded layers in memory', () => {
  expandedLayerStoreConforms(() => new MemoryExpandedLayerStore());
});
