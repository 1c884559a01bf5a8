import { answeringProcessesConform } from './answering-processes-conformance.js';
import { MemoryAnsweringProcesses } from './memory-answering-processes.js';

answeringProcessesConform(() => {
  const store = new MemoryAnsweringProcesses();
  return { store, restore: async () => store.restore() };
});
