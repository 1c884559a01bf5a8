import { MemoryPullHistory } from '../testing/memory-pull-history.js';
import { pullHistoryConformance } from '../testing/pull-history-conformance.js';

pullHistoryConformance('MemoryPullHistory', () => new MemoryPullHistory());
