import { type Digest, digestHex } from '#oci';
import { partialFilePath, type Share } from '#shares';

const SUFFIX = '.vhd';

/**
 * Where one try of one copy writes: a name of its own for each claim, so that a worker that lost its claim without noticing, and goes on writing,
 * never writes into the file of the worker that took over.
 */
export function partialPathOfClaim(layer: Digest, claimId: string): string {
  return `${partialFilePath(layer).slice(0, -SUFFIX.length)}.${claimId}${SUFFIX}`;
}

/** Removes what other tries of copying `layer` left on `share`. Cost: one listing of the folder of partial files. */
export async function removePartialFiles(share: Share, layer: Digest, options: { readonly except?: string; readonly signal: AbortSignal }): Promise<void> {
  const whole = partialFilePath(layer);
  const folder = whole.slice(0, whole.lastIndexOf('/'));
  const left: string[] = [];
  for await (const file of share.list(folder, options.signal)) {
    const path = `${folder}/${file.name}`;
    if (file.name.startsWith(`${digestHex(layer)}.`) && path !== whole && path !== options.except) left.push(path);
  }
  for (const path of left) await share.remove(path, options.signal);
}
