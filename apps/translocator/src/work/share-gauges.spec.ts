import { Writable } from 'node:stream';

import { expect, it } from 'vitest';

import { MemoryShare } from '#shares/testing';
import { createLogger, Metrics } from '#telemetry';

import { measuringShares } from './share-gauges.js';

it('shows what the shares’ providers count, tells of one that is smaller than its capacity, and of one that does not say', async () => {
  const lines: string[] = [];
  const logger = createLogger('warn', new Writable({ write: (line, _encoding, done) => done(void lines.push(String(line))) }));
  const metrics = new Metrics();
  const [roomy, small, silent] = ['roomy', 'small', 'silent'].map((name) => new MemoryShare({ name, capacityBytes: 1000 })) as [MemoryShare, MemoryShare, MemoryShare];
  await roomy.createFile('x', 400);
  small.usage = async () => ({ provisionedBytes: 900, usedBytes: 10 });
  silent.failNext('usage', 'SHARE_UNAVAILABLE');
  await measuringShares({ logger, metrics }, new Map([roomy, small, silent].map((share) => [share.name, share]))).run(new AbortController().signal);
  const stored = (await metrics.shareStoredBytes.get()).values.map(({ labels, value }) => [labels.region, value] as const);
  expect(Object.fromEntries(stored)).toEqual({ roomy: 400, small: 10 });
  expect(lines.map((line) => (JSON.parse(line) as { share: string }).share).toSorted()).toEqual(['silent', 'small']);
});
