import { randomBytes } from 'node:crypto';

import { DAY_MS, HOUR_MS } from '#quantities';
import { LinkBudget, type LinkLedger, type ScrubPlace, type ScrubPorts, type ScrubReport, scrubReplicas } from '#replication';
import { PIECE_BYTES } from '#shares';

import type { ClockedTask } from './clocked-tasks.js';
import type { WorkSurroundings } from './work-surroundings.js';

/** Bytes that were not read when it was their turn, because shares were silent or the process busy, are made up for within this time. */
const MADE_UP_FOR_MS = HOUR_MS;

/** What scrubbing takes. */
export interface ScrubTools extends Pick<ScrubPorts, 'store' | 'records' | 'layers' | 'shares'> {
  readonly ledger: LinkLedger;
}

/**
 * Reads all ready replicas again, a little at a time, and begins again at the end. It begins anywhere, so that processes that are restarted often come to
 * all of them too. The day's bound of a region holds for all processes together: it stands in the ledger of links, as that of the region with itself.
 */
export function scrubbing({ config, clock, logger, metrics }: WorkSurroundings, { ledger, ...tools }: ScrubTools): ClockedTask {
  const { scrubBytesPerDay, scrubEvery } = config.replication;
  const budget = new LinkBudget(() => ({ bytesPerDay: scrubBytesPerDay }), ledger, clock);
  const bytesPerMs = (scrubBytesPerDay * tools.shares.size) / DAY_MS;
  const allowedMax = Math.max(PIECE_BYTES, bytesPerMs * MADE_UP_FOR_MS);
  let place: ScrubPlace = { after: { layer: `sha256:${randomBytes(32).toString('hex')}`, share: '' } };
  let allowedBytes = 0;
  const tell = (report: ScrubReport): void => {
    metrics.scrubbedBytes.inc(report.readBytes);
    for (const { share } of report.ordered) metrics.scrubFindings.inc({ region: share, found: 'damaged' });
    for (const { share } of report.expandedAgain) metrics.scrubFindings.inc({ region: share, found: 'last' });
    for (const { share } of report.unsteady) metrics.scrubFindings.inc({ region: share, found: 'unsteady' });
    if (report.ordered.length + report.expandedAgain.length > 0) logger.error({ ...report }, 'replicas were damaged; they are made again');
    else if (report.unsteady.length + report.silentShares.length > 0) logger.warn({ ...report }, 'replicas could not be read as they should be');
  };
  return {
    name: 'scrub',
    everyMs: scrubEvery,
    run: async (signal) => {
      allowedBytes = Math.min(allowedMax, allowedBytes + bytesPerMs * scrubEvery);
      if (allowedBytes < PIECE_BYTES) return;
      const report = await scrubReplicas({ ...tools, budget, clock }, { from: place, bytesMax: allowedBytes }, signal);
      place = report.next;
      allowedBytes -= report.readBytes;
      tell(report);
    },
  };
}
