import type { Digest } from '#oci';
import { HOUR_MS } from '#quantities';
import { PARTIAL_FOLDER, partialFileNamed, type Share, ShareError } from '#shares';

import type { ReplicaStore } from './replica-store.js';

/** How long a partial file may rest that nobody comes back to, unless told otherwise. */
export const PARTIAL_AGE_MAX_MS = HOUR_MS;
/** Partial files of one share that one sweep looks at: one call for each. More than are under way anywhere. */
export const SWEPT_FILES_MAX = 1_000;

/** What {@link sweepPartialFiles} works with. */
export interface SweepPorts {
  readonly store: Pick<ReplicaStore, 'checkpointPaths'>;
  /** By name. */
  readonly shares: ReadonlyMap<string, Share>;
}

/** What one sweep did. */
export interface SweepReport {
  /** What was removed, as `share/path`. */
  readonly removed: readonly string[];
  /** Shares that did not answer: what is there is looked at the next time. */
  readonly silentShares: readonly string[];
}

/**
 * Removes partial files that nobody has written to for `ageMaxMs`, by the clock of their share, and that no copy will go on with: what workers left that died at something which is
 * not wanted any more. Files in that folder with names of other forms are somebody else's and stay.
 *
 * Whoever still writes to a file that is removed here, a copy that takes over what has long lain still or an expansion that stood still that long, finds
 * it gone, fails, and begins anew: at worst bytes are copied twice. Idempotent; it may end anywhere.
 * @throws what the store throws, and the reason of an aborted `signal`.
 */
export async function sweepPartialFiles({ store, shares }: SweepPorts, ageMaxMs: number, signal?: AbortSignal): Promise<SweepReport> {
  const removed: string[] = [];
  const silentShares: string[] = [];
  for (const share of shares.values()) {
    try {
      const resting = await restingFiles(share, ageMaxMs, signal);
      const kept = await store.checkpointPaths(share.name, [...new Set(resting.map(({ layer }) => layer))]);
      for (const { path } of resting) if (!kept.has(path) && (await share.remove(path, signal))) removed.push(`${share.name}/${path}`);
    } catch (error) {
      if (!(error instanceof ShareError)) throw error;
      silentShares.push(share.name);
    }
  }
  return { removed, silentShares };
}

/** Partial files of layers that nobody has written to for longer than `ageMaxMs`, by the share's own clock. */
async function restingFiles(share: Share, ageMaxMs: number, signal?: AbortSignal): Promise<{ readonly path: string; readonly layer: Digest }[]> {
  const found: { readonly path: string; readonly layer: Digest }[] = [];
  let looked = 0;
  for await (const { name } of share.list(PARTIAL_FOLDER, signal)) {
    const partial = partialFileNamed(name);
    if (partial === undefined) continue;
    if ((looked += 1) > SWEPT_FILES_MAX) break;
    const path = `${PARTIAL_FOLDER}/${name}`;
    const file = await share.stat(path, signal);
    if (file !== undefined && file.toldAt.getTime() - file.modifiedAt.getTime() > ageMaxMs) found.push({ path, layer: partial.layer });
  }
  return found;
}
