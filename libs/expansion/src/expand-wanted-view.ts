import type { Claimed } from '#claims';
import type { Digest } from '#oci';
import { LAYER_FILE_VERSION } from '#shares';

import type { ViewExpansion } from './expand-view.js';
import type { ExpansionPorts } from './expand-wanted-layer.js';
import type { ExpandedLayer } from './expanded-layer.js';
import type { LayerRecord, LayerRefusal, WantedLayer } from './expanded-layer-store.js';
import { estimateViewBytes } from './estimate-expansion.js';
import { ExpansionError } from './expansion-error.js';
import { VIEW_LAYER_REFUSAL } from './layer-media-types.js';

/** A merged view that is wanted. */
export interface WantedView extends WantedLayer {
  readonly stacks: readonly Digest[];
}

/** Whether what is wanted is the merged view of an image. */
export function isWantedView(claimed: Claimed<WantedLayer>): claimed is Claimed<WantedView> {
  return claimed.item.stacks !== undefined;
}

/** What {@link expandWantedView} works with. */
export interface ViewExpansionPorts extends Pick<ExpansionPorts, 'store' | 'replicas' | 'homeShare' | 'clock'> {
  /** `expandView`, or one like it. */
  readonly expand: (expansion: ViewExpansion) => Promise<ExpandedLayer>;
  /** Asked before anything is written, with the bytes that the view will probably have. @throws when the home share has no room for them now. */
  readonly ensureRoom: (likelyBytes: number) => Promise<void>;
}

/**
 * Makes one claimed merged view on the home share, where its layers' files are, records the replica, and settles the claim. A view of which a layer is refused or not known,
 * or has a file of an older version, is settled as refused for as long as that is so; one of which a layer is expanded anew just now is given back; everything else is as with `expandWantedLayer`.
 */
export async function expandWantedView(ports: ViewExpansionPorts, claimed: Claimed<WantedView>, signal: AbortSignal): Promise<void> {
  const { store, replicas, expand, homeShare, clock, ensureRoom } = ports;
  const { item: view, claim } = claimed;
  const records = new Map((await store.find([...new Set(view.stacks)])).map((record) => [record.digest, record]));
  const refusal = refusalOfView(view, records);
  if (refusal !== undefined) {
    await store.refuse(claim.id, refusal);
    return;
  }
  const layers = view.stacks.flatMap((digest) => records.get(digest)?.expanded ?? []);
  if (layers.length < view.stacks.length) {
    await store.release(claim.id);
    return;
  }
  await ensureRoom(estimateViewBytes(layers));
  const isHeld = (): Promise<boolean> => store.progress(claim.id, 0);
  let expanded: ExpandedLayer;
  try {
    expanded = await expand({ view: view.digest, layers, share: homeShare, claimId: claim.id, isHeld, signal });
  } catch (error) {
    if (!(error instanceof ExpansionError) || error.transient) throw error;
    await store.refuse(claim.id, { code: error.code, message: error.message });
    return;
  }
  if (!(await isHeld())) return;
  // A view of files that a layer does not have any more would show other contents than theirs.
  if (!(await areStill(ports, layers))) {
    await store.release(claim.id);
    return;
  }
  await replicas.ready(view.digest, homeShare.name, expanded.vhd.sizeBytes);
  await store.complete(claim.id, expanded, clock.now());
}

function refusalOfView({ stacks }: WantedView, records: ReadonlyMap<Digest, LayerRecord>): LayerRefusal | undefined {
  const missing = stacks.find((digest) => (records.get(digest)?.state ?? 'refused') === 'refused');
  if (missing !== undefined) {
    const why = records.get(missing)?.refusal?.code;
    return { code: VIEW_LAYER_REFUSAL, message: `its layer ${missing} is ${why === undefined ? 'not known' : `refused: ${why}`}` };
  }
  // The same layer has other bytes in each version, and so would the view have, under one digest.
  const other = stacks.find((digest) => (records.get(digest)?.expanded?.writerVersion ?? LAYER_FILE_VERSION) !== LAYER_FILE_VERSION);
  if (other === undefined) return undefined;
  const version = records.get(other)?.expanded?.writerVersion;
  return { code: VIEW_LAYER_REFUSAL, message: `its layer ${other} has a file of version ${version}, and not ${LAYER_FILE_VERSION}` };
}

/** Whether the layers have the very files that the view was made of. */
async function areStill({ store }: ViewExpansionPorts, layers: readonly ExpandedLayer[]): Promise<boolean> {
  const now = new Map((await store.find([...new Set(layers.map((layer) => layer.digest))])).map((record) => [record.digest, record.expanded?.vhd.digest]));
  return layers.every((layer) => now.get(layer.digest) === layer.vhd.digest);
}
