import { atOnce } from '#clock';

import { breakEvenOf, bringsBack, worthKeeping } from './break-even.js';
import { chooseBundles } from './choose-bundles.js';
import { chooseByDensity } from './choose-by-density.js';
import { decideImages, decideImagesAtHome, ordersOf } from './explain-plan.js';
import { bytesOf, hasImages, imagesWhere, isSameSet, isWithin, type LayerSet, layerSet, listed, union, withImages, without } from './layer-table.js';
import { keepFitting, placePins } from './place-pins.js';
import { passedLayers, reactiveWindow, stuckInWindow, windowBytes } from './reactive-window.js';
import { openCase, recall, type RegionCase, type Target } from './region-case.js';
import type { HeldReplica, RegionFacts } from './region-facts.js';
import type { RegionOrders, RegionPlan } from './region-plan.js';
import { retain } from './retain-layers.js';
import { withSmallLayers } from './small-layers.js';
import { sortInSteps, STEP_COUNT } from './steps.js';

/** Rounds after which choosing ends wherever it stands; a plan made on the result goes on from there. Two or three are what it takes. */
const ROUNDS_MAX = 16;

/** What {@link planRegionInSteps} decides, at once: for callers that have a thread to themselves. */
export function planRegion(facts: RegionFacts): RegionPlan {
  return atOnce(planRegionInSteps(facts));
}

/** What {@link orderRegionInSteps} decides, at once. */
export function orderRegion(facts: RegionFacts): RegionOrders {
  return atOnce(orderRegionInSteps(facts));
}

/**
 * Decides what should be in one region, in steps of a few milliseconds. What cannot go comes first, then pins by priority and age as long as they fit, then whole images by expected
 * pulls for each byte that they add; what room that leaves goes to the merged views of the images that are whole. Depends on nothing but its input and not on the order of that; never uses more than the capacity beyond what
 * cannot go; and once its orders are applied, planning again gives no orders. Whoever stops between steps must leave the facts as they are. Cost: see {@link orderRegionInSteps}, and as much again for the decisions.
 */
export function* planRegionInSteps(facts: RegionFacts): Generator<undefined, RegionPlan> {
  const settled = yield* settleRegion(facts);
  return { ...(yield* explainSettled(settled)), ...(yield* orderSettled(settled)) };
}

/**
 * The same plan without its reasons, for callers that plan often. Cost: some milliseconds for 3,000 images of 12,000 layers, once their table is made, which takes three times that; the next
 * plan for the same images, in this region or another, finds the table.
 */
export function* orderRegionInSteps(facts: RegionFacts): Generator<undefined, RegionOrders> {
  return yield* orderSettled(yield* settleRegion(facts));
}

/** What should be in a region, in steps: what a plan orders and explains. */
export function* settleRegion(facts: RegionFacts): Generator<undefined, SettledRegion> {
  return yield* facts.home ? settleAtHome(facts) : settle(facts);
}

/** The decisions of a plan, in steps. */
export function* explainSettled({ region, chosen }: SettledRegion): Generator<undefined, Omit<RegionPlan, keyof RegionOrders>> {
  return yield* region.facts.home ? decideImagesAtHome(region, chosen) : decideImages(region, chosen);
}

/** The orders of a plan, in steps. */
export function* orderSettled({ region, chosen }: SettledRegion): Generator<undefined, RegionOrders> {
  const { facts, table } = region;
  const target = withViews(region, chosen);
  return {
    region: facts.region,
    capacityBytes: facts.capacityBytes,
    usedBytes: bytesOf(table, target.layers),
    forcedBytes: bytesOf(table, region.forced),
    smallLayerBytes: chosen.smallLayerBytes,
    drainingBytes: facts.replicas.reduce((sum, replica) => (replica.state === 'draining' ? sum + replica.sizeBytes : sum), 0),
    ...(yield* ordersOf(region, target)),
  };
}

/**
 * Adds the merged views of the images that are wholly within the target, each as long as it fits: of pinned images first, then of the most pulled. At home, where
 * everything that is needed stays, what is lacking is added only where some region has it.
 */
function withViews(region: RegionCase, target: Target): Target {
  const { facts, table } = region;
  const viewed = imagesWhere(table, (image) => table.viewOf[image]! >= 0 && isWithin(table, image, target.layers));
  const pinned = target.pinTurns.filter((turn) => turn.met && viewed.includes(turn.image)).map((turn) => turn.image);
  const views = [...new Set([...pinned, ...byValue(region, viewed)])].map((image) => table.viewOf[image]!).filter((view) => !facts.home || canBeHadAtHome(region, view));
  if (views.length === 0) return target;
  const layers = target.layers.slice();
  keepFitting(region, views, { sets: [layers], roomBytes: target.capacityBytes - bytesOf(table, layers) });
  return { ...target, layers };
}

/** Whether a layer can be copied back to home, or is still there. */
function canBeHadAtHome({ facts, table, replicaOf }: RegionCase, layer: number): boolean {
  return facts.readyElsewhere.has(table.layers[layer]!) || replicaOf[layer]?.state === 'draining';
}

/** The most valued first. */
function byValue({ values }: RegionCase, images: readonly number[]): number[] {
  return images.toSorted((a, b) => values[b]! - values[a]! || a - b);
}

/** A region, and what was chosen for it. */
export interface SettledRegion {
  readonly region: RegionCase;
  readonly chosen: Target;
}

function* settleAtHome(facts: RegionFacts): Generator<undefined, SettledRegion> {
  const region = yield* openCase(facts);
  return { region, chosen: yield* targetAtHome(region) };
}

/**
 * Chooses, and chooses again where the choice itself changes what cannot go: a layer that drains and is recalled may be the last ready one, leased or retained from then on; one that passed, cannot
 * go and is wanted is no longer the window's. Choosing without that in mind is choosing otherwise than the next plan will. What cannot go only grows by what was chosen, so this comes to rest.
 */
function* settle(facts: RegionFacts): Generator<undefined, SettledRegion> {
  const opened = yield* openCase(facts);
  yield;
  let region = yield* retain(opened);
  yield;
  const passed = passedLayers(region);
  let ordered = without(region.held, passed);
  let chosen = yield* chooseTarget(region, ordered);
  const isRecalled = (replica: HeldReplica): boolean => replica.state === 'draining' && chosen.layers[region.table.layerNumber.get(replica.layer)!] === 1;
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const { forced, stuck } = facts.replicas.some(isRecalled) ? yield* retain(yield* recall(opened, chosen.layers)) : region;
    const before = ordered;
    ordered = without(chosen.layers, chosen.passed);
    if (isSameSet(forced, region.forced) && !passed.some((hasPassed, layer) => hasPassed === 1 && forced[layer] === 1 && ordered[layer] !== before[layer])) break;
    region = { ...region, forced, stuck };
    yield;
    chosen = yield* chooseTarget(region, ordered);
  }
  return { region, chosen };
}

function* targetAtHome(region: RegionCase): Generator<undefined, Target> {
  const { facts, table, held, forced } = region;
  const needed = layerSet(table, (layer) => held[layer] === 1 && (hasImages(table, layer) || facts.referenced.has(table.layers[layer]!)));
  const layers = union(needed, forced);
  const { pinTurns } = placePins(region, Number.POSITIVE_INFINITY);
  yield;
  yield* bringBack(region, pinTurns, layers);
  return { pinTurns, base: forced, smallLayerBytes: 0, recent: new Uint8Array(table.images.length), passed: new Uint8Array(table.layers.length), layers, capacityBytes: facts.capacityBytes };
}

/**
 * Adds what images lack at home and can be had: where home has moved, or its replica was drained. Pinned images come first, then the most pulled, each layer
 * as long as it fits. What no region has is expanded again, which is not a plan's to order.
 */
function* bringBack(region: RegionCase, pinTurns: Target['pinTurns'], layers: LayerSet): Generator<undefined> {
  const { facts, table, values } = region;
  const lackingImages = imagesWhere(table, (image) => !isWithin(table, image, layers));
  const isLacking = new Set(lackingImages);
  const pinned = pinTurns.map((turn) => turn.image).filter((image) => isLacking.has(image));
  const valued = yield* sortInSteps(lackingImages, (a, b) => values[b]! - values[a]! || a - b);
  const lacking: number[] = [];
  for (const [turn, image] of [...new Set([...pinned, ...valued])].entries()) {
    if (turn % STEP_COUNT === 0) yield;
    for (const layer of listed(table.layersOf, image)) if (layers[layer] !== 1 && canBeHadAtHome(region, layer)) lacking.push(layer);
  }
  keepFitting(region, lacking, { sets: [layers], roomBytes: facts.capacityBytes - bytesOf(table, layers) });
}

/** @param present what is taken to be there, or on its way, because somebody ordered it. */
function* chooseTarget(region: RegionCase, present: LayerSet): Generator<undefined, Target> {
  const { table, facts } = region;
  const { pinTurns, base: pinned } = placePins(region, facts.capacityBytes);
  const ofPins = withImages(table, new Uint8Array(table.layers.length), pinTurns.filter(({ met }) => met).map(({ image }) => image));
  yield;
  const small = withSmallLayers(region, pinned);
  yield;
  const stuck = stuckInWindow(region, without(without(pinned, ofPins), present));
  yield;
  const base = without(small.layers, stuck);
  // Demand is chosen as if nothing had passed: what passes pushes out nothing that was copied, which would be copied again, and what demand wants of it is there for nothing.
  const capacityBytes = facts.capacityBytes - windowBytes(region);
  let placed = union(present, base);
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const next = yield* chooseLayers(region, { base, capacityBytes }, placed);
    if (isSameSet(next, placed)) break;
    placed = next;
  }
  const { images: recent, layers: passed } = reactiveWindow(region, placed, stuck);
  yield;
  return { pinTurns, base: small.layers, smallLayerBytes: small.bytes, recent, passed, layers: union(placed, passed), capacityBytes: capacityBytes + bytesOf(table, passed) };
}

/**
 * One round: what to have where `present` is there. Either what a fresh choice gives, if that beats what is there clearly enough, or what is there and
 * worth keeping together with what still fits. Every change makes what is there worth more, or sheds what nobody wants, so rounds come to rest; and at rest
 * the result is `present` itself, which is how a plan made after this one begins.
 */
function* chooseLayers(region: RegionCase, { base, capacityBytes }: { readonly base: LayerSet; readonly capacityBytes: number }, present: LayerSet): Generator<undefined, LayerSet> {
  const { facts, bundles: table, values, rule } = region;
  const { heldBytesRatio, switchGainRatio, keepRatio } = facts.parameters;
  const keepRule = breakEvenOf(facts.parameters, rule, keepRatio);
  const bundlesOf = (isIn: Uint8Array): number[] => imagesWhere(table, (bundle) => isIn[bundle] === 1);
  const there = worthKeeping(table, keepRule, { base, within: present });
  yield;
  // What is there may be more than may be: then the rest of it goes whose loss is least for each byte.
  const isTooMuch = bytesOf(table, withImages(table, base, bundlesOf(there))) > Math.max(capacityBytes, bytesOf(table, base));
  const competition = { values, held: present, heldBytesRatio, rule: { ...rule, eased: there, easedRatio: keepRatio }, capacityBytes };
  const incumbents = isTooMuch ? worthKeeping(table, keepRule, { base, within: (yield* chooseBundles(table, { ...competition, candidates: bundlesOf(there), base })).layers }) : there;
  const candidates = imagesWhere(table, (image) => there[image] === 1 || bringsBack(rule, image, 0));
  yield;
  const fresh = yield* chooseBundles(table, { ...competition, candidates, base });
  const newcomers = worthKeeping(table, keepRule, { base, within: fresh.layers });
  let [gain, loss] = [0, 0];
  for (let image = 0; image < values.length; image += 1) {
    if (newcomers[image] === incumbents[image]) continue;
    if (newcomers[image] === 1) gain += values[image]!;
    else loss += values[image]!;
  }
  yield;
  if (gain > loss * (1 + switchGainRatio)) return fresh.layers;
  return (yield* chooseByDensity(table, { ...competition, candidates, base: withImages(table, base, bundlesOf(incumbents)) })).layers;
}
