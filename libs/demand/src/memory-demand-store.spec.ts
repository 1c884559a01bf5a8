import { demandStoreConformance } from './testing/demand-store-conformance.js';
import { MemoryDemandStore } from './testing/memory-demand-store.js';

demandStoreConformance('MemoryDemandStore', (options) => new MemoryDemandStore(options));
