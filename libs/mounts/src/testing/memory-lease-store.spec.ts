import { describe } from 'vitest';

import { leaseStoreConformance } from './lease-store-conformance.js';
import { MemoryLeaseStore } from './memory-lease-store.js';

describe('MemoryLeaseStore', () => leaseStoreConformance(() => new MemoryLeaseStore()));
