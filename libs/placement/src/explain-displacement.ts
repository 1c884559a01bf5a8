import { type ImageName, imageKey } from './region-facts.js';
import type { PlacementDecision } from './region-plan.js';

/** Images that a decision names as what took its room, or what gave way to it. */
export const DISPLACED_NAMED_MAX = 3;

/**
 * Adds to decisions, in the order of a plan, who took whose room. An image that found none lost to those that were let in last before room ran out, as many as together add what it lacked; for one that
 * was there and goes, to newcomers first. Those name it in return. Cost: linear, and no more than {@link DISPLACED_NAMED_MAX} names for each image.
 * @param wasThere whether an image was wholly there before the plan.
 */
export function explainDisplacement(decisions: readonly PlacementDecision[], wasThere: (image: ImageName) => boolean): PlacementDecision[] {
  const lastFirst = decisions.filter(({ rank, marginalBytes }) => rank !== undefined && marginalBytes > 0).toReversed();
  const newcomersFirst = [...lastFirst.filter(isNew), ...lastFirst.filter((decision) => !isNew(decision))];
  const displaced = new Map<string, ImageName[]>();
  const explained = decisions.map((decision): PlacementDecision => {
    const isEvicted = (decision.verdict === 'refused' || decision.verdict === 'unmet') && decision.marginalBytes > 0 && wasThere(decision);
    const by = decision.missingBytes === undefined ? [] : takers(isEvicted ? newcomersFirst : lastFirst, decision.missingBytes);
    if (isEvicted) for (const taker of by) nameIn(displaced, taker, decision);
    if (!isEvicted && by.length === 0) return decision;
    return { ...decision, ...(isEvicted ? { isEvicted } : {}), ...(by.length === 0 ? {} : { displacedBy: by }) };
  });
  return explained.map((decision) => {
    const gone = displaced.get(imageKey(decision));
    return gone === undefined ? decision : { ...decision, displaced: gone };
  });
}

function isNew({ verdict }: PlacementDecision): boolean {
  return verdict === 'placed' || verdict === 'pinned';
}

function takers(candidates: readonly PlacementDecision[], missingBytes: number): ImageName[] {
  const found: ImageName[] = [];
  let bytes = 0;
  for (const { repository, digest, marginalBytes } of candidates) {
    if (bytes >= missingBytes || found.length === DISPLACED_NAMED_MAX) break;
    found.push({ repository, digest });
    bytes += marginalBytes;
  }
  return found;
}

function nameIn(displaced: Map<string, ImageName[]>, taker: ImageName, { repository, digest }: ImageName): void {
  const named = displaced.get(imageKey(taker)) ?? [];
  displaced.set(imageKey(taker), named);
  if (named.length < DISPLACED_NAMED_MAX) named.push({ repository, digest });
}
