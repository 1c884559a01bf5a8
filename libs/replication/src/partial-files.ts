import { type Digest, digestHex } from '#oci';
import { partialFilePath, type Share } from '#shares';

const SUFFIX = '.vhd';
/** Enough of a digest to tell the versions of one layer's file apart, and short enough for a name. */
const VHD_DIGITS = 16;

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
  return `${stemOf(file)}${claimId}${SUFFIX}`;
}

/** Whether some try of copying just this file wrote at `path`. */
export function isPartialPathOf(file: PartialFile, path: string): boolean {
  return path.startsWith(stemOf(file));
}

function stemOf({ layer, vhd }: PartialFile): string {
  return `${partialFilePath(layer).slice(0, -SUFFIX.length)}.${digestHex(vhd).slice(0, VHD_DIGITS)}.`;
}

/** Removes what tries of making `layer` left on `share`, but for the paths in `kept`. Cost: one listing of the folder of partial files. */
export async function removePartialFiles(share: Share, layer: Digest, options: { readonly kept: readonly string[]; readonly signal: AbortSignal }): Promise<void> {
  const folder = partialFilePath(layer).slice(0, partialFilePath(layer).lastIndexOf('/'));
  const left: string[] = [];
  for await (const file of share.list(folder, options.signal)) {
    const path = `${folder}/${file.name}`;
    if (file.name.startsWith(`${digestHex(layer)}.`) && !options.kept.includes(path)) left.push(path);
  }
  for (const path of left) await share.remove(path, options.signal);
}
