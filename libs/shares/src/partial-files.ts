import { type Digest, digestHex } from '#oci';

import { PARTIAL_FOLDER, partialFileNamed, partialFilePath } from './layer-file.js';
import type { Share } from './share.js';

/** Enough of a digest to tell the versions of one layer's file apart, and short enough for a name. */
const VHD_DIGITS = 16;

/** Which bytes a copy makes: the file of a layer, in one version. */
export interface LayerFileVersion {
  readonly layer: Digest;
  /** Of the whole file. Another version of the expansion gives other bytes, and no piece of one belongs into the other. */
  readonly vhd: Digest;
}

/** Who makes files of layers: an expansion from the layer itself, a copy from another share. Both may make the same one at the same time. */
export type PartialMaker = 'expansion' | 'copy';

/** Where the expansion of a layer under one claim writes. */
export function expansionPartialPath(layer: Digest, claimId: string): string {
  return partialFilePath(layer, `expansion.${claimId}`);
}

/** Where the copy of a layer's file under one claim writes. */
export function copyPartialPath(version: LayerFileVersion, claimId: string): string {
  return partialFilePath(version.layer, copyPrefix(version) + claimId);
}

/** Whether some copy of just this version wrote at `path`. */
export function isCopyPartialPath(version: LayerFileVersion, path: string): boolean {
  if (!path.startsWith(`${PARTIAL_FOLDER}/`)) return false;
  const partial = partialFileNamed(path.slice(PARTIAL_FOLDER.length + 1));
  return partial?.layer === version.layer && partial.attempt.startsWith(copyPrefix(version));
}

function copyPrefix({ vhd }: LayerFileVersion): string {
  return `copy.${digestHex(vhd).slice(0, VHD_DIGITS)}.`;
}

/** Which partial files of a layer go, and who may say so. */
export interface PartialRemoval {
  /** Only what this maker left: while one of them is at work, so may the other be. Without it all go. */
  readonly of?: PartialMaker;
  /** The path of the one that stays. */
  readonly kept?: string;
  /**
   * Throws when the claim under which this is done was lost. Asked after the listing, when there is something to remove: what was there while the
   * claim was held is older than whatever a successor writes.
   */
  readonly ensureHeld?: () => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * Removes what earlier attempts of making `layer` left on `share`. A worker whose claim ran out and that still writes there finds its file gone.
 * Cost: one listing of the folder of partial files.
 * @throws what `ensureHeld` throws, and `ShareError`.
 */
export async function removePartialFiles(share: Share, layer: Digest, { of, kept, ensureHeld, signal }: PartialRemoval): Promise<void> {
  const left: string[] = [];
  for await (const { name } of share.list(PARTIAL_FOLDER, signal)) {
    const partial = partialFileNamed(name);
    const path = `${PARTIAL_FOLDER}/${name}`;
    if (partial?.layer === layer && path !== kept && (of === undefined || partial.attempt.startsWith(`${of}.`))) left.push(path);
  }
  if (left.length > 0) await ensureHeld?.();
  for (const path of left) await share.remove(path, signal);
}
