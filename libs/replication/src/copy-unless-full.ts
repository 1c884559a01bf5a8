import type { Claimed } from '#claims';
import { type FullShares, type Share, ShareError, type ShareUsage } from '#shares';

import { type CopyPorts, copyReplica } from './copy-replica.js';
import type { ReplicaCopy } from './replica.js';
import { shareNamed } from './whole-replica.js';

/** What {@link copyUnlessFull} works with. */
export interface CopyUnlessFullPorts extends CopyPorts {
  readonly full: FullShares;
}

/**
 * {@link copyReplica}, unless its share turned out full a short while ago: then, and when it does now, the copy is put off until the share is tried again.
 * What was copied so far stays where it is, verified, and is gone on with.
 * @throws as `copyReplica`.
 */
export async function copyUnlessFull(ports: CopyUnlessFullPorts, claimed: Claimed<ReplicaCopy>, signal: AbortSignal): Promise<void> {
  const { full, store, clock, shares } = ports;
  const share = shareNamed(shares, claimed.item.share);
  const putOff = async (until: Date): Promise<void> => {
    const now = clock.now();
    const reason = `${share.name} is full; it is tried again at ${until.toISOString()}`;
    await store.copies.postpone(claimed.claim.id, { now, waitMs: Math.max(0, until.getTime() - now.getTime()), reason });
  };
  const paused = full.pausedUntil(share.name, clock.now());
  if (paused !== undefined) return putOff(paused);
  try {
    await copyReplica(ports, claimed, signal);
  } catch (error) {
    if (!(error instanceof ShareError) || error.code !== 'SHARE_FULL') throw error;
    await putOff(full.note(share.name, await usageOf(share, signal), clock.now()));
  }
}

/** How full a share is, for people: a share that does not answer to that is full all the same. */
export async function usageOf(share: Share, signal: AbortSignal): Promise<ShareUsage | undefined> {
  try {
    return await share.usage(signal);
  } catch (error) {
    if (error instanceof ShareError) return undefined;
    throw error;
  }
}
