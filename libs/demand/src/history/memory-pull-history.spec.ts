import { MemoryPullHistory } from '../testing/memory-pull-history.js';
import { pullHistoryConformance } from '../testing/pull-history-conformance.js';

pullHistoryConformance('MemoryPullHistory', () => {
  const history = new MemoryPullHistory();
  return { history, notePin: async (pin) => history.note(pin) };
});
