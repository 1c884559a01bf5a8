import { type Digest, digestHex } from '#oci';
import { PARTIAL_FOLDER, partialFileNamed, partialFilePath, type Share } from '#shares';

/** Enough of a digest to tell the versions of one layer's file apart, and short enough for a name. */
const VHD_DIGITS = 16;
/** How the attempts of a copy begin, whichever version they copy: with the digits of its digest. */
const COPY_ATTEMPT = new RegExp(`^[0-9a-f]{${VHD_DIGITS}}\\.`);

/** Which file is being made: the layer that it stands for, and the bytes that it is to have. */
export interface PartialFile {
  readonly layer: Digest;
  /** Of the whole file. Another version of the expansion gives other bytes, and no piece of one belongs into the other. */
  readonly vhd: Digest;
}

/**
 * Where one try of one copy writes: a name of its own for each claim, so that a worker that lost its claim without noticing, and goes on writing,
 * never writes into the file of the worker that took over.
 */
export function partialPathOfClaim(file: PartialFile, claimId: string): string {
  return partialFilePath(file.layer, versionOf(file) + claimId);
}

/** Whether some try of copying just this file wrote at `path`. */
export function isPartialPathOf(file: PartialFile, path: string): boolean {
  if (!path.startsWith(`${PARTIAL_FOLDER}/`)) return false;
  const partial = partialFileNamed(path.slice(PARTIAL_FOLDER.length + 1));
  return partial?.layer === file.layer && partial.attempt.startsWith(versionOf(file));
}

function versionOf({ vhd }: PartialFile): string {
  return `${digestHex(vhd).slice(0, VHD_DIGITS)}.`;
}

/**
 * Removes what attempts of making `layer` left on `share`. While a copy is under way, `kept` names its file: that one stays, and so do the files of
 * expansions, because one may be under way as well. Without `kept` all go. Cost: one listing of the folder of partial files.
 */
export async function removePartialFiles(share: Share, layer: Digest, options: { readonly kept?: string; readonly signal: AbortSignal }): Promise<void> {
  const { kept, signal } = options;
  const left: string[] = [];
  for await (const { name } of share.list(PARTIAL_FOLDER, signal)) {
    const partial = partialFileNamed(name);
    if (partial?.layer !== layer) continue;
    const path = `${PARTIAL_FOLDER}/${name}`;
    if (kept === undefined || (path !== kept && COPY_ATTEMPT.test(partial.attempt))) left.push(path);
  }
  for (const path of left) await share.remove(path, signal);
}
