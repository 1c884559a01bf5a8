import type { Digest } from '#oci';
import { PARTIAL_FOLDER, partialFileNamed, partialFilePath, type Share } from '#shares';

/** What tells the files of expansions from those of copies. */
const EXPANSION = 'expansion.';

/** Where the expansion under one claim writes. */
export function partialPathOfClaim(layer: Digest, claimId: string): string {
  return partialFilePath(layer, EXPANSION + claimId);
}

/**
 * Removes what earlier attempts of expanding `layer` left on `share`. A worker whose claim ran out and that still writes there finds its file gone. A
 * copy of the layer that is on its way to the same share keeps its file. Cost: one listing of the folder of partial files.
 * @param options `ensureHeld` throws when the claim was lost. It is asked after the listing: what was there while the claim was held is older.
 */
export async function removeEarlierAttempts(
  share: Share,
  layer: Digest,
  options: { readonly ensureHeld: () => Promise<void>; readonly signal: AbortSignal },
): Promise<void> {
  const left: string[] = [];
  for await (const { name } of share.list(PARTIAL_FOLDER, options.signal)) {
    const partial = partialFileNamed(name);
    if (partial?.layer === layer && partial.attempt.startsWith(EXPANSION)) left.push(`${PARTIAL_FOLDER}/${name}`);
  }
  await options.ensureHeld();
  for (const path of left) await share.remove(path, options.signal);
}
