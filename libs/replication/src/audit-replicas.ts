import type { Clock } from '#clock';
import { layerFilePath, type Share, ShareError } from '#shares';

import type { Replica, ReplicaKey } from './replica.js';
import type { ReplicaStore } from './replica-store.js';
import type { LayerRecord, LayerRecords, ReleasableLayers } from './replication-ports.js';

/** What {@link auditReplicas} works with. */
export interface AuditPorts {
  readonly store: ReplicaStore;
  readonly records: LayerRecords;
  readonly layers: Pick<ReleasableLayers, 'expandAgain'>;
  /** By name. */
  readonly shares: ReadonlyMap<string, Share>;
  readonly clock: Clock;
}

/** Which part of the replicas one audit looks at. */
export interface AuditPart {
  /** As the audit before answered in `next`; undefined: from the first. */
  readonly after?: ReplicaKey | undefined;
  /** Files that are looked at, at most: one call to a share for each. */
  readonly limit: number;
}

/** What one audit found. */
export interface AuditReport {
  /** Ready replicas whose file was looked at. */
  readonly checked: number;
  /** Whose file is missing, of another size or not noted as whole, and which are copied again from another share. */
  readonly ordered: readonly ReplicaKey[];
  /** The same, but of layers of which no other replica is ready: expanded again. */
  readonly expandedAgain: readonly ReplicaKey[];
  /** Shares that did not answer; their other files were not looked at. A file that cannot be looked at is not missing. */
  readonly silentShares: readonly string[];
  /** Where the next audit goes on; undefined when all have been looked at: the next one begins anew. */
  readonly next: ReplicaKey | undefined;
}

/**
 * Looks whether the files of some ready replicas are still there, whole: one stat and one record for each, no byte is read. One that is missing, of another size, or not noted as whole (as scrubbing leaves what
 * it found damaged) leaves the answers at once and is ordered again. The last ready replica of a layer is not taken out of them, for there is nothing to copy it from: its layer is
 * expanded again, and while it is, no share is handed out for it. Files that a node has open are not touched here. Idempotent; it may end anywhere.
 */
export async function auditReplicas({ store, records, layers, shares, clock }: AuditPorts, { after, limit }: AuditPart, signal?: AbortSignal): Promise<AuditReport> {
  const page = await store.page(after, limit, { state: 'ready' });
  const ordered: ReplicaKey[] = [];
  const expandedAgain: ReplicaKey[] = [];
  const silentShares = new Set<string>();
  let checked = 0;
  for (const replica of page) {
    const share = shares.get(replica.share);
    if (share === undefined || silentShares.has(share.name)) continue;
    // What is being expanded again has no file that could be told to be the right one.
    const record = await records.find(replica.layer);
    if (record === undefined) continue;
    const damage = await damageOf(share, { replica, record }, signal);
    if (damage === 'silent') silentShares.add(share.name);
    else checked += 1;
    if (damage === undefined || damage === 'silent') continue;
    const key = { layer: replica.layer, share: replica.share };
    const outcome = await store.lose(key, damage, clock.now());
    if (outcome === 'wanted') ordered.push(key);
    if (outcome === 'LAST_REPLICA' && (await layers.expandAgain(replica.layer, clock.now()))) expandedAgain.push(key);
  }
  const last = page.length < limit ? undefined : page.at(-1);
  return { checked, ordered, expandedAgain, silentShares: [...silentShares], next: last && { layer: last.layer, share: last.share } };
}

/** What is wrong with a replica's file, in words for operators; undefined when nothing is. */
async function damageOf(
  share: Share,
  { replica, record }: { readonly replica: Replica; readonly record: LayerRecord },
  signal?: AbortSignal,
): Promise<string | undefined> {
  const { sizeBytes } = record.vhd;
  try {
    const file = await share.stat(layerFilePath(replica.layer, record.writerVersion), signal);
    if (file === undefined) return 'its file was missing';
    if (file.sizeBytes !== sizeBytes) return `its file had ${file.sizeBytes} bytes, not ${sizeBytes}`;
    return file.metadata['vhd_digest'] === record.vhd.digest ? undefined : 'its file was not noted as whole';
  } catch (error) {
    if (error instanceof ShareError) return 'silent';
    throw error;
  }
}
