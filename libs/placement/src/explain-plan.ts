import type { Digest } from '#oci';
import { GiB } from '#quantities';

import { breakEvenOf, bringsBack, bringsBackAll, pullsAsked, worthKeeping } from './break-even.js';
import { chooseByDensity } from './choose-by-density.js';
import { explainDisplacement } from './explain-displacement.js';
import { DEMAND_PRIORITY_MAX, demandPriority, PIN_PRIORITY_BASE } from './copy-priority.js';
import { bytesOf, compareText, hasImages, imagesWhere, include, isWithin, type LayerSet, listed, marginal, withImages, without } from './layer-table.js';
import type { PinTurn, RegionCase, Target } from './region-case.js';
import type { ImageName } from './region-facts.js';
import { sortInSteps, STEP_COUNT } from './steps.js';
import type { DecidedForecast, DecisionReason, PlacementDecision, RegionPlan, UnwantedReplica, Verdict, WantedReplica } from './region-plan.js';

/** What was decided, and what layers are there for besides single images. */
type Explained = Pick<RegionPlan, 'decisions' | 'partBytes' | 'partialBytes'>;

/** Explains, in steps, what was decided about every image. The order of turns is that of a fresh choice among the images that are in the target; parts that are worth their room by themselves come before them. */
export function* decideImages(region: RegionCase, target: Target): Generator<undefined, Explained> {
  const { table, values, facts, rule } = region;
  const met = target.pinTurns.filter((turn) => turn.met);
  const pinned = new Set(target.pinTurns.map((turn) => turn.image));
  const decisions = met.map((turn, at) => pinDecision(region, turn, at + 1));

  const isIn = Uint8Array.from(table.images, (_, image) => Number(isWithin(table, image, target.layers)));
  const inTarget = imagesWhere(table, (image) => isIn[image] === 1 && !pinned.has(image));
  yield;
  const isValued = worthKeeping(region.bundles, breakEvenOf(facts.parameters, rule, facts.parameters.keepRatio), { base: target.base, within: target.layers });
  const valued = inTarget.filter((image) => isValued[image] === 1);
  const layers = withImages(region.bundles, target.base, imagesWhere(region.bundles, (bundle) => bundle >= isIn.length && isValued[bundle] === 1));
  let usedBytes = bytesOf(table, layers);
  const partBytes = usedBytes - bytesOf(table, target.base);
  yield;
  const { images: inTurn } = yield* chooseByDensity(table, { candidates: valued, values, base: layers, capacityBytes: Number.POSITIVE_INFINITY });
  const turns = [...inTurn, ...inTarget.filter((each) => isValued[each] !== 1)];
  for (const [turn, image] of turns.entries()) {
    if (turn % STEP_COUNT === 0) yield;
    const marginalBytes = marginal(table, image, layers);
    include(table, image, layers);
    usedBytes += marginalBytes;
    const numbers = { marginalBytes, rank: decisions.length + 1, usedBytesAfter: usedBytes };
    decisions.push(decision(region, image, { verdict: chosenVerdict(region, image), reason: chosenReason(region, image, { marginalBytes, isValued: isValued[image] === 1, isRecent: target.recent[image] === 1 }), ...numbers }));
  }

  const unmet = target.pinTurns.filter((turn) => !turn.met);
  for (const turn of unmet) decisions.push(unmetDecision(region, turn));
  const refused = imagesWhere(table, (image) => isIn[image] === 0 && !pinned.has(image));
  const byDemand = yield* sortInSteps(refused, (a, b) => values[b]! - values[a]! || a - b);
  // What is there for the window alone is not there for demand.
  const placed = without(target.layers, target.passed);
  const room = { layers: placed, usedBytes: bytesOf(table, placed), capacityBytes: target.capacityBytes - bytesOf(table, target.passed) };
  for (const [turn, image] of byDemand.entries()) {
    if (turn % STEP_COUNT === 0) yield;
    decisions.push(refusal(region, image, room));
  }
  const decided = [...met.map(({ image }) => image), ...turns, ...unmet.map(({ image }) => image), ...byDemand];
  return { decisions: yield* explainDisplacement(decisions, (at) => isWithin(table, decided[at]!, region.held)), partBytes, partialBytes: bytesOf(table, without(target.layers, layers)) };
}

/** Explains a home region, in steps: every image is kept where it was expanded, or `placed` when layers of it are brought back. */
export function* decideImagesAtHome(region: RegionCase, target: Target): Generator<undefined, Explained> {
  const { table } = region;
  const pins = new Map(target.pinTurns.map((turn) => [turn.image, turn.pin]));
  const layers = target.base.slice();
  let usedBytes = bytesOf(table, layers);
  const isBroughtBack = (image: number): boolean => listed(table.layersOf, image).some((layer) => target.layers[layer] === 1 && region.held[layer] !== 1);
  const decided = (image: number): PlacementDecision => {
    const marginalBytes = marginal(table, image, layers);
    include(table, image, layers);
    usedBytes += marginalBytes;
    const pin = pins.get(image);
    const numbers = { marginalBytes, rank: image + 1, usedBytesAfter: usedBytes };
    return pin === undefined
      ? decision(region, image, { verdict: isBroughtBack(image) ? 'placed' : 'kept', reason: 'HOME_REGION', ...numbers })
      : decision(region, image, { verdict: 'pinned', reason: 'PIN', pinId: pin.id, ...numbers });
  };
  const decisions: PlacementDecision[] = [];
  for (let image = 0; image < table.images.length; image += 1) {
    if (image % STEP_COUNT === 0) yield;
    decisions.push(decided(image));
  }
  return { decisions, partBytes: 0, partialBytes: 0 };
}

/** What has to be done so that the target comes to be; in steps. */
export function* ordersOf(region: RegionCase, target: Target): Generator<undefined, Pick<RegionPlan, 'wants' | 'adoptions' | 'drains' | 'withdrawals'>> {
  const { table, facts, replicaOf } = region;
  const drains: UnwantedReplica[] = [];
  const withdrawals: UnwantedReplica[] = [];
  for (let layer = 0; layer < table.layers.length; layer += 1) {
    const replica = replicaOf[layer];
    if (replica === undefined || target.layers[layer] === 1 || replica.leased) continue;
    const reason = hasImages(table, layer) || facts.referenced.has(replica.layer) ? 'NOT_WANTED' : 'NOT_REFERENCED';
    const unwanted: UnwantedReplica = { layer: replica.layer, sizeBytes: replica.sizeBytes, reason };
    if (replica.state === 'ready') drains.push(unwanted);
    if (replica.state === 'wanted') withdrawals.push(unwanted);
  }
  yield;
  return { ...(yield* wantsOf(region, target)), drains: yield* sortInSteps(drains, byLayer), withdrawals: yield* sortInSteps(withdrawals, byLayer) };
}

function* wantsOf(region: RegionCase, target: Target): Generator<undefined, Pick<RegionPlan, 'wants' | 'adoptions'>> {
  const { table, replicaOf } = region;
  const urgency = imagePriorities(region, target);
  yield;
  const [wants, adoptions]: [Want[], Want[]] = [[], []];
  for (let layer = 0; layer < table.layers.length; layer += 1) {
    if (layer % STEP_COUNT === 0) yield;
    const replica = replicaOf[layer];
    if (target.layers[layer] !== 1) continue;
    const isAdopted = replica?.passedAt !== undefined && replica.state !== 'draining' && target.passed[layer] !== 1;
    if (!isAdopted && replica !== undefined && replica.state !== 'draining' && (replica.state !== 'wanted' || replica.priority === undefined)) continue;
    const orders = isAdopted ? adoptions : wants;
    const most = mostUrgent(listed(table.imagesOf, layer), urgency);
    if (most < 0) {
      const want = wantOfNoImage(region, target, layer);
      if (want !== undefined && !(replica?.state === 'wanted' && (replica.priority === want.priority || want.priority === -DEMAND_PRIORITY_MAX))) orders.push(want);
      continue;
    }
    if (replica?.state === 'wanted' && replica.priority === urgency[most]) continue;
    orders.push({ layer, image: most, priority: urgency[most]!, isView: table.viewOf[most] === layer });
  }
  return { wants: yield* byTurn(region, wants), adoptions: yield* byTurn(region, adoptions) };
}

/** A layer to copy, for the sake of an image: by their numbers. */
interface Want {
  readonly layer: number;
  readonly image: number;
  readonly priority: number;
  readonly isView: boolean;
}

/** The most urgent first, those of one image together. Images are numbered by their keys. */
function* byTurn(region: RegionCase, wants: readonly Want[]): Generator<undefined, WantedReplica[]> {
  const { table } = region;
  const sorted = yield* sortInSteps(wants, (a, b) => b.priority - a.priority || a.image - b.image || compareText(table.layers[a.layer]!, table.layers[b.layer]!));
  const wanted: WantedReplica[] = [];
  for (const [turn, { layer, image, priority, isView }] of sorted.entries()) {
    if (turn % STEP_COUNT === 0) yield;
    wanted.push({ layer: table.layers[layer]!, sizeBytes: table.sizes[layer]!, priority, image: nameOf(region, image), ...(isView ? { isView } : {}) });
  }
  return wanted;
}

/** A layer of images that are not wanted themselves: of a part that they share, in the name of the image that is worth most, or a small one. Undefined for one that no image has. */
function wantOfNoImage({ table, parts, values }: RegionCase, target: Target, layer: number): Want | undefined {
  const part = parts?.partOf[layer] ?? -1;
  if (part >= 0 && values[part]! > 0 && isWithin(parts!.bundles, part, target.layers)) {
    const image = mostValued(parts!.imagesOf[part - table.images.length]!, values);
    return { layer, image, priority: demandPriority(values[part]!, table.imageBytes[image]!), isView: false };
  }
  const [image] = listed(table.imagesOf, layer);
  return image === undefined ? undefined : { layer, image, priority: -DEMAND_PRIORITY_MAX, isView: false };
}

/** The first of the most valued of some images. */
function mostValued(images: readonly number[], values: Float64Array): number {
  return images.reduce((most, image) => (values[image]! > values[most]! ? image : most));
}

/** The first of the most urgent images; -1 when none is urgent at all. */
function mostUrgent(images: Int32Array, urgency: Float64Array): number {
  let most = -1;
  for (const image of images) if (!Number.isNaN(urgency[image]) && (most < 0 || urgency[image]! > urgency[most]!)) most = image;
  return most;
}

/** The urgency of each image in the target, NaN for others. */
function imagePriorities(region: RegionCase, target: Target): Float64Array {
  const { table, values, facts } = region;
  const priorities = new Float64Array(table.images.length).fill(Number.NaN);
  for (let image = 0; image < priorities.length; image += 1) {
    // At home layers count by themselves: what an image lacks besides may have to be expanded again.
    if (!facts.home && !isWithin(table, image, target.layers)) continue;
    priorities[image] = demandPriority(values[image]!, table.imageBytes[image]!);
  }
  for (const { met, image, pin } of target.pinTurns) if (met) priorities[image] = PIN_PRIORITY_BASE + 1000 * pin.priority;
  return priorities;
}

type Outcome = Omit<PlacementDecision, keyof ImageName | keyof DecidedForecast | 'imageBytes' | 'pullsPerGiB'>;

function decision(region: RegionCase, image: number, outcome: Outcome): PlacementDecision {
  const { table, expected } = region;
  const { expectedPulls, ownPulls, inheritedPulls, elsewherePulls, probability, low, high } = expected[image]!;
  return {
    ...nameOf(region, image),
    expectedPulls, ownPulls, inheritedPulls, elsewherePulls, probability,
    lowPulls: low,
    highPulls: high,
    imageBytes: table.imageBytes[image]!,
    ...(outcome.marginalBytes > 0 ? { pullsPerGiB: expectedPulls / (outcome.marginalBytes / GiB) } : {}),
    ...outcome,
  };
}

function pinDecision(region: RegionCase, turn: PinTurn, rank: number): PlacementDecision {
  const { marginalBytes, usedBytes, pin, image } = turn;
  return decision(region, image, { verdict: 'pinned', reason: 'PIN', marginalBytes, rank, usedBytesAfter: usedBytes, pinId: pin.id });
}

function unmetDecision(region: RegionCase, turn: PinTurn): PlacementDecision {
  const { marginalBytes, usedBytes, pin, image } = turn;
  const missingBytes = usedBytes + marginalBytes - region.facts.capacityBytes;
  return decision(region, image, { verdict: 'unmet', reason: 'PIN_OVER_CAPACITY', marginalBytes, missingBytes, pinId: pin.id });
}

function refusal(region: RegionCase, image: number, chosen: { readonly layers: LayerSet; readonly usedBytes: number; readonly capacityBytes: number }): PlacementDecision {
  const { pulls, table, rule } = region;
  const expectedPulls = pulls[image]!;
  const marginalBytes = marginal(table, image, chosen.layers);
  const missingPulls = pullsAsked(rule, image, marginalBytes) - expectedPulls;
  if (expectedPulls === 0) return decision(region, image, { verdict: 'refused', reason: 'NO_DEMAND', marginalBytes, missingPulls });
  if (missingPulls > 0) return decision(region, image, { verdict: 'refused', reason: 'DEMAND_TOO_SMALL', marginalBytes, missingPulls });
  const missingBytes = chosen.usedBytes + marginalBytes - chosen.capacityBytes;
  return decision(region, image, { verdict: 'refused', reason: 'OVER_CAPACITY', marginalBytes, missingBytes });
}

function chosenVerdict(region: RegionCase, image: number): Verdict {
  return isWithin(region.table, image, region.held) ? 'kept' : 'placed';
}

function chosenReason(region: RegionCase, image: number, { marginalBytes, isValued, isRecent }: { readonly marginalBytes: number; readonly isValued: boolean; readonly isRecent: boolean }): DecisionReason {
  const { table, expected, rule } = region;
  if (table.imageBytes[image] === 0) return 'NOTHING_TO_STORE';
  if (isRecent) return 'RECENT_PULLS';
  if (!isValued) return isWithin(table, image, region.forced) ? 'LAYERS_HELD' : 'LAYERS_SHARED';
  if (!bringsBack(rule, image, marginalBytes)) return 'HELD_DEMAND';
  if (!bringsBackAll(rule, image)) return 'FEW_NEW_BYTES';
  const { ownPulls, inheritedPulls, elsewherePulls } = expected[image]!;
  if (ownPulls >= Math.max(inheritedPulls, elsewherePulls)) return 'DEMAND';
  return inheritedPulls >= elsewherePulls ? 'REPOSITORY_DEMAND' : 'DEMAND_ELSEWHERE';
}

function nameOf(region: RegionCase, image: number): ImageName {
  const { repository, digest } = region.table.images[image] as { repository: string; digest: Digest };
  return { repository, digest };
}

function byLayer(a: { readonly layer: Digest }, b: { readonly layer: Digest }): number {
  return compareText(a.layer, b.layer);
}
