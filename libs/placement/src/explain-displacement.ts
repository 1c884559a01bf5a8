import type { ImageName } from './region-facts.js';
import type { PlacementDecision } from './region-plan.js';
import { STEP_COUNT } from './steps.js';

/** Images that a decision names as what took its room, or what gave way to it. */
export const DISPLACED_NAMED_MAX = 3;

/**
 * Adds to decisions, in the order of a plan and in steps, who took whose room. An image that found none lost to those that were let in last before room ran out, as many as together add what it lacked; for one that
 * was there and goes, to newcomers first. Those name it in return. Cost: linear, and no more than {@link DISPLACED_NAMED_MAX} names for each image.
 * @param wasThere whether the image of a decision, by its place among them, was wholly there before the plan.
 */
export function* explainDisplacement(decisions: readonly PlacementDecision[], wasThere: (at: number) => boolean): Generator<undefined, PlacementDecision[]> {
  const lastFirst = decisions.filter(({ rank, marginalBytes }) => rank !== undefined && marginalBytes > 0).toReversed();
  const [last, newcomers] = [takersOf(lastFirst), takersOf([...lastFirst.filter(isNew), ...lastFirst.filter((decision) => !isNew(decision))])];
  const displaced = new Map<PlacementDecision, ImageName[]>();
  const withTakers = (decision: PlacementDecision, at: number): PlacementDecision => {
    const isEvicted = (decision.verdict === 'refused' || decision.verdict === 'unmet') && decision.marginalBytes > 0 && wasThere(at);
    const by = decision.missingBytes === undefined ? NOBODY : takersFor(isEvicted ? newcomers : last, decision.missingBytes);
    if (isEvicted) for (const taker of by.decisions) nameIn(displaced, taker, decision);
    if (!isEvicted && by === NOBODY) return decision;
    return { ...decision, ...(isEvicted ? { isEvicted } : {}), ...(by === NOBODY ? {} : { displacedBy: by.names }) };
  };
  const explained: PlacementDecision[] = [];
  for (const [at, decision] of decisions.entries()) {
    if (at % STEP_COUNT === 0) yield;
    explained.push(withTakers(decision, at));
  }
  // Whoever took room has a rank, and is as it was decided.
  for (const [at, decision] of decisions.entries()) {
    const gone = displaced.get(decision);
    if (gone !== undefined) explained[at] = { ...explained[at]!, displaced: gone };
  }
  return explained;
}

function isNew({ verdict }: PlacementDecision): boolean {
  return verdict === 'placed' || verdict === 'pinned';
}

/** Some that took room, and what they add together. */
interface Takers {
  readonly decisions: readonly PlacementDecision[];
  readonly names: readonly ImageName[];
  readonly bytes: number;
}

const NOBODY: Takers = { decisions: [], names: [], bytes: 0 };

/** The first of the candidates, the first two, and so on: shared by all that they took room from. */
function takersOf(candidates: readonly PlacementDecision[]): Takers[] {
  const takers: Takers[] = [];
  for (const candidate of candidates.slice(0, DISPLACED_NAMED_MAX)) {
    const { decisions, names, bytes } = takers.at(-1) ?? NOBODY;
    const { repository, digest, marginalBytes } = candidate;
    takers.push({ decisions: [...decisions, candidate], names: [...names, { repository, digest }], bytes: bytes + marginalBytes });
  }
  return takers;
}

/** The fewest that add what an image lacks, or all that are named. */
function takersFor(takers: readonly Takers[], missingBytes: number): Takers {
  return missingBytes <= 0 ? NOBODY : (takers.find(({ bytes }) => bytes >= missingBytes) ?? takers.at(-1) ?? NOBODY);
}

function nameIn(displaced: Map<PlacementDecision, ImageName[]>, taker: PlacementDecision, { repository, digest }: ImageName): void {
  const named = displaced.get(taker) ?? [];
  displaced.set(taker, named);
  if (named.length < DISPLACED_NAMED_MAX) named.push({ repository, digest });
}
