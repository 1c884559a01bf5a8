import { describe, expect, it } from 'vitest';

import { MemoryShare } from './memory-share.js';
import { expectShareError, shareConformance, SUITE_CAPACITY_BYTES } from './share-conformance.js';

shareConformance('MemoryShare', async () => ({
  share: new MemoryShare({ name: 'first', capacityBytes: SUITE_CAPACITY_BYTES }),
  other: new MemoryShare({ name: 'second' }),
  close: async () => {},
}));

describe('MemoryShare', () => {
  it('counts who carried which bytes', async () => {
    const from = new MemoryShare({ name: 'from' });
    const to = new MemoryShare({ name: 'to' });
    await from.createFile('a', 1000);
    await from.writeRange('a', 0, Buffer.alloc(1000, 1));
    await to.createFile('a', 1000);
    await to.copyRange('a', { offset: 0, length: 1000 }, await from.grantCopySource('a', new Date(Date.now() + 60_000)));
    await to.readRange('a', { offset: 0, length: 10 });
    expect(from.traffic).toEqual({ writtenBytes: 1000, readBytes: 0, copiedInBytes: 0, copiedOutBytes: 1000 });
    expect(to.traffic).toEqual({ writtenBytes: 0, readBytes: 10, copiedInBytes: 1000, copiedOutBytes: 0 });
  });

  it('fails as often as it is told, and not with other operations', async () => {
    const share = new MemoryShare({ name: 'faulty' });
    share.failNext('stat', 'SHARE_BUSY', { times: 2 });
    await share.createFile('a', 1);
    expect((await expectShareError(share.stat('a'), 'SHARE_BUSY')).transient).toBe(true);
    await expectShareError(share.stat('a'), 'SHARE_BUSY');
    expect(await share.stat('a')).toBeDefined();
  });

  it('does not remove a file that is held open', async () => {
    const share = new MemoryShare({ name: 'held' });
    await share.createFile('a', 1);
    const release = share.hold('a');
    await expectShareError(share.remove('a'), 'FILE_IN_USE');
    release();
    expect(await share.remove('a')).toBe(true);
  });
});
