import { expect, it } from 'vitest';

import { DOWNGRADE_WAIT_MS, downgradeHeaders, raisesAfter } from './downgrades.js';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const later = (ms: number): Date => new Date(NOW.getTime() + ms);
const before = { quotaGiB: 64, iops: 3500, bandwidthMibps: 150 };

it('lets what a provisioned share was given go up at any time, and down a day after it last went up', () => {
  const raisedAt = raisesAfter({ before, asked: { iops: 4000 } }, NOW);
  const raised = { ...before, iops: 4000, raisedAt };
  expect(downgradeHeaders(raisedAt)['x-ms-share-next-allowed-provisioned-iops-downgrade-time']).toBe('Mon, 02 Mar 2026 12:00:00 GMT');
  expect(() => raisesAfter({ before: raised, asked: { iops: 3500 } }, later(DOWNGRADE_WAIT_MS - 1))).toThrow(expect.objectContaining({ code: 'FileShareProvisionedIopsDowngradeNotAllowed' }));
  expect(raisesAfter({ before: raised, asked: { iops: 3500 } }, later(DOWNGRADE_WAIT_MS))).toEqual(raisedAt);
  const again = raisesAfter({ before: raised, asked: { iops: 5000 } }, later(1000));
  expect(() => raisesAfter({ before: { ...raised, iops: 5000, raisedAt: again }, asked: { iops: 4500 } }, later(DOWNGRADE_WAIT_MS))).toThrow(expect.objectContaining({ code: 'FileShareProvisionedIopsDowngradeNotAllowed' }));
});

it('counts each thing for itself', () => {
  const raisedAt = raisesAfter({ before, asked: { quotaGiB: 128 } }, NOW);
  expect(raisesAfter({ before: { ...before, quotaGiB: 128, raisedAt }, asked: { bandwidthMibps: 100 } }, NOW)).toEqual(raisedAt);
  expect(() => raisesAfter({ before: { ...before, quotaGiB: 128, raisedAt }, asked: { quotaGiB: 64 } }, NOW)).toThrow(expect.objectContaining({ code: 'ContainerQuotaDowngradeNotAllowed' }));
});

it('leaves shares alone that are not provisioned one by one', () => {
  expect(raisesAfter({ before: { quotaGiB: 10 }, asked: { quotaGiB: 20 } }, NOW)).toBeUndefined();
  expect(raisesAfter({ before: { quotaGiB: 20 }, asked: { quotaGiB: 5 } }, NOW)).toBeUndefined();
});
