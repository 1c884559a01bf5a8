import { PARAMETER_NAMES, parametersTold, type PlanTerms } from './plan-store.js';
import { type ImageName, imageKey, type PlacementParameters } from './region-facts.js';
import type { PlacementDecision, RegionPlan } from './region-plan.js';

/** Images that a comparison names of each kind; how many there are is told in full. */
export const COMPARED_IMAGES_MAX = 500;

/** What a plan says, as far as two are compared. */
export interface ComparedPlan extends Pick<RegionPlan, 'capacityBytes' | 'usedBytes' | 'decisions'> {
  readonly terms?: PlanTerms;
}

/** A parameter by which two plans did not go alike. A side is absent where that plan, of an earlier version, does not tell. */
export interface ParameterDifference {
  readonly name: keyof PlacementParameters;
  readonly before?: number;
  readonly after?: number;
}

/** An image of which two plans decide otherwise: absent where a plan does not know it, or does not keep what it decided. */
export interface ComparedImage extends ImageName {
  readonly before?: PlacementDecision;
  readonly after?: PlacementDecision;
}

/** What another plan does otherwise. */
export interface PlanComparison {
  readonly capacityBytes: { readonly before: number; readonly after: number };
  readonly usedBytes: { readonly before: number; readonly after: number };
  /** Every parameter of which they do not tell the same. */
  readonly parameters: readonly ParameterDifference[];
  /** Pulls expected of the images that are there by the plan. */
  readonly servedPulls: { readonly before: number; readonly after: number };
  /** There by the second plan alone, the most pulled first; at most {@link COMPARED_IMAGES_MAX}, as the next ones. */
  readonly comes: readonly ComparedImage[];
  readonly goes: readonly ComparedImage[];
  /** Neither there or away otherwise, and decided otherwise all the same: for another reason, or under a pin. */
  readonly otherwise: readonly ComparedImage[];
  readonly counts: { readonly comes: number; readonly goes: number; readonly otherwise: number; readonly same: number };
}

/** Compares what two plans of one region decide: `before`, and `after`. Numbers alone, which change with every minute, make no difference. */
export function comparePlans(before: ComparedPlan, after: ComparedPlan): PlanComparison {
  const images = new Map<string, { before?: PlacementDecision; after?: PlacementDecision }>();
  for (const decision of before.decisions) images.set(imageKey(decision), { before: decision });
  for (const decision of after.decisions) images.set(imageKey(decision), { ...images.get(imageKey(decision)), after: decision });
  const comes: ComparedImage[] = [];
  const goes: ComparedImage[] = [];
  const otherwise: ComparedImage[] = [];
  let same = 0;
  for (const pair of images.values()) {
    const { repository, digest } = (pair.after ?? pair.before)!;
    const compared = { repository, digest, ...pair };
    if (isThere(pair.after) !== isThere(pair.before)) (isThere(pair.after) ? comes : goes).push(compared);
    else if (pair.before?.reason !== pair.after?.reason) otherwise.push(compared);
    else same += 1;
  }
  return {
    capacityBytes: { before: before.capacityBytes, after: after.capacityBytes },
    usedBytes: { before: before.usedBytes, after: after.usedBytes },
    parameters: differencesOf(parametersTold(before.terms), parametersTold(after.terms)),
    servedPulls: { before: served(before), after: served(after) },
    comes: mostPulled(comes), goes: mostPulled(goes), otherwise: mostPulled(otherwise),
    counts: { comes: comes.length, goes: goes.length, otherwise: otherwise.length, same },
  };
}

function differencesOf(before: Partial<PlacementParameters>, after: Partial<PlacementParameters>): ParameterDifference[] {
  return PARAMETER_NAMES.filter((name) => before[name] !== after[name]).map((name) => ({
    name,
    ...(before[name] === undefined ? {} : { before: before[name] }),
    ...(after[name] === undefined ? {} : { after: after[name] }),
  }));
}

function isThere(decision: PlacementDecision | undefined): boolean {
  return decision !== undefined && decision.verdict !== 'refused' && decision.verdict !== 'unmet';
}

function served({ decisions }: ComparedPlan): number {
  return decisions.filter(isThere).reduce((sum, { expectedPulls }) => sum + expectedPulls, 0);
}

function mostPulled(images: readonly ComparedImage[]): ComparedImage[] {
  const pulls = ({ before, after }: ComparedImage): number => (after ?? before)?.expectedPulls ?? 0;
  return images.toSorted((a, b) => pulls(b) - pulls(a) || (imageKey(a) < imageKey(b) ? -1 : 1)).slice(0, COMPARED_IMAGES_MAX);
}
