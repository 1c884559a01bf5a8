import type { Digest } from '#oci';
import { LAYER_FILE_VERSION, layerFileMetadata, type Share } from '#shares';

import type { ExpandedLayer } from './expanded-layer.js';
import { ExpansionError } from './expansion-error.js';
import type { ExpansionTarget } from './expansion-target.js';
import type { WrittenPieces } from './piece-stream.js';
import { sealFile } from './seal-file.js';
import { ShareExpansionTarget } from './share-expansion-target.js';

/** One attempt of making a layer's or a merged view's file on a share. */
export interface LayerFileAttempt {
  /** What the file is named by: the digest of the layer's blob, or of the view. */
  readonly digest: Digest;
  readonly share: Share;
  /** Of the claim under which it is done: two attempts never share one. */
  readonly claimId: string;
  /** Whether the claim is still held; asked before leftovers of others are removed, right before the file gets its final name, and after a failure. */
  readonly isHeld: () => Promise<boolean>;
  /** Aborting it ends the attempt with the signal's reason; the next attempt removes what this one left. */
  readonly signal: AbortSignal;
  /** A size that the file may well pass; a wrong one costs a call or two. */
  readonly likelyBytes: number;
  /** What the whole file must be, where that is known already; another one does not get the final name. */
  readonly expectedVhd?: Digest | undefined;
}

/** A filesystem that was written to a target whole. */
export interface WrittenContents {
  /** What the ids in the file follow from, and what its record says: the digest of the layer's tar, or of the view. */
  readonly diffId: Digest;
  /** From the file's first byte; whole blocks. */
  readonly filesystem: WrittenPieces;
  /** Directory entries of the filesystem, its root not counted. */
  readonly entryCount: number;
}

/**
 * Makes one file: has the filesystem written under a name of the attempt's own, seals it (hash tree, footer, everything read back and verified), and
 * gives it its final name while the claim is held. A crash at any point leaves nothing under the final name.
 * @param write writes the filesystem.
 * @throws what `write` throws, `ShareError`, and {@link ExpansionError}: `READ_BACK_MISMATCH`, `OTHER_FILE`, `CLAIM_LOST`. A refusal, and a lost claim, also remove the partial file.
 */
export async function makeLayerFile(attempt: LayerFileAttempt, write: (target: ExpansionTarget) => Promise<WrittenContents>): Promise<ExpandedLayer> {
  const { digest, share, claimId, isHeld, signal, likelyBytes, expectedVhd } = attempt;
  const target = new ShareExpansionTarget(share, { layer: digest, claimId, isHeld, signal });
  try {
    await target.begin(likelyBytes);
    const { diffId, filesystem, entryCount } = await write(target);
    const sealed = await sealFile(filesystem, diffId, target);
    if (expectedVhd !== undefined && sealed.vhd.digest !== expectedVhd) {
      throw new ExpansionError('OTHER_FILE', `${digest} became the file ${sealed.vhd.digest}, and ${expectedVhd} was expected`, { details: { layer: digest, expected: expectedVhd, actual: sealed.vhd.digest } });
    }
    const file = { digest, diffId, writerVersion: LAYER_FILE_VERSION, ...sealed };
    await target.publish(file.vhd.sizeBytes, layerFileMetadata(file));
    return { ...file, entryCount };
  } catch (error) {
    await discardUseless(target, attempt, error);
    throw error;
  }
}

/**
 * Removes the partial file when nobody will look for it: after a refusal, or when the claim is another's by now. Otherwise the next attempt does. What
 * fails here costs bytes at most: the error that ended the attempt is the one to be told.
 */
async function discardUseless(target: ShareExpansionTarget, { isHeld }: LayerFileAttempt, error: unknown): Promise<void> {
  const refused = error instanceof ExpansionError && !error.transient;
  try {
    if (refused || !(await isHeld())) await target.discard();
  } catch {
    return;
  }
}
