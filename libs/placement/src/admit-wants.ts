import type { Digest } from '#oci';
import type { RegionName } from '#regions';

import { PIN_PRIORITY_BASE, worthAtPriority } from './copy-priority.js';
import { compareText } from './layer-table.js';
import { imageKey, type PlacementImage } from './region-facts.js';
import type { RegionOrders, WantedReplica } from './region-plan.js';
import { sortInSteps, STEP_COUNT } from './steps.js';
import { BudgetAccount, type TransferBudget, type WaitReason } from './transfer-budget.js';

/** What a plan of one region would order, and what is on its share. */
export interface RegionTurn {
  readonly orders: Pick<RegionOrders, 'region' | 'wants' | 'withdrawals'>;
  /** Whether a layer has a replica there, in whatever state: to order that costs nothing. */
  readonly isThere: (layer: Digest) => boolean;
}

/** What a turn's wants are admitted by. */
export interface AdmissionFacts {
  readonly budget: TransferBudget;
  /** By `imageKey`; the images of all wants. */
  readonly images: ReadonlyMap<string, PlacementImage>;
  /** Whether an image was just pushed: the reserve is for these. */
  readonly isPushed: (image: PlacementImage) => boolean;
}

/** What may be ordered in one region. */
export interface Admission {
  /** The layers of its wants that may. */
  readonly layers: ReadonlySet<Digest>;
  /** The images that wait, by `imageKey`, and for how many bytes of which budget. */
  readonly waiting: ReadonlyMap<string, { readonly reason: WaitReason; readonly missingBytes: number }>;
}

/** What one image lacks in one region. */
interface Bundle {
  readonly region: RegionName;
  readonly key: string;
  readonly isPushed: boolean;
  /** Pins by their right, all above the rest: 0. */
  readonly pinPriority: number;
  readonly worth: number;
  readonly layers: readonly WantedReplica[];
}

/**
 * Decides, in steps, which wants of all regions are ordered now, so that a day's budgets of bytes and money are kept (I6). Images are admitted with everything that they lack or not at all, pinned ones first, then
 * those that are worth most for each byte that they still lack, so that images finish one after the other (Smith 1956). One that lacks more than a day's budget is admitted in parts, and a layer that
 * by itself is more than its link carries in a day only where nothing else travels. What is recalled or only changes its priority costs nothing. Ordering what was admitted and deciding again admits nothing more.
 * The order of the input does not matter.
 */
export function* admitWants(turns: readonly RegionTurn[], facts: AdmissionFacts): Generator<undefined, ReadonlyMap<RegionName, Admission>> {
  const account = new BudgetAccount(facts.budget);
  const admitted = new Map<RegionName, Set<Digest>>();
  const bundles = new Map<RegionName, readonly Bundle[]>();
  for (const { orders, isThere } of turns) {
    for (const { sizeBytes } of orders.withdrawals) account.spend(orders.region, -sizeBytes);
    const isFree = ({ layer, sizeBytes }: WantedReplica): boolean => sizeBytes === 0 || isThere(layer);
    admitted.set(orders.region, new Set(orders.wants.filter(isFree).map(({ layer }) => layer)));
    yield;
    bundles.set(orders.region, yield* bundlesOf(orders.region, orders.wants.filter((want) => !isFree(want)), facts));
  }
  const lackedOf = ({ region, layers }: Bundle): WantedReplica[] => layers.filter(({ layer }) => !admitted.get(region)!.has(layer));
  const admit = ({ region }: Bundle, { layer, sizeBytes }: WantedReplica): void => {
    admitted.get(region)!.add(layer);
    account.spend(region, sizeBytes);
  };
  // What is admitted pays for layers of others, which then may fit: until nothing comes of it any more.
  for (let admittedCount = -1; admittedCount !== 0;) {
    admittedCount = 0;
    for (const [turn, bundle] of (yield* byTurn(bundles, (of) => bytesOf(lackedOf(of)))).entries()) {
      if (turn % STEP_COUNT === 0) yield;
      const lacked = lackedOf(bundle);
      const taken = takenOf(bundle, lacked, account);
      for (const want of taken) admit(bundle, want);
      admittedCount += taken.length;
    }
  }
  const admissions = new Map<RegionName, Admission>();
  for (const [region, layers] of admitted) admissions.set(region, { layers, waiting: yield* waitingOf(bundles.get(region)!, lackedOf, account) });
  return admissions;
}

/** What is admitted of what an image lacks: all of it, nothing, or, where a day is too short for it, what fits. */
function takenOf(bundle: Bundle, lacked: readonly WantedReplica[], account: BudgetAccount): readonly WantedReplica[] {
  const { region, isPushed } = bundle;
  const bytes = bytesOf(lacked);
  if (bytes <= account.bytesOfDay(region, isPushed)) return account.lacking(region, bytes, isPushed) === undefined ? lacked : [];
  const first = lacked.find(({ sizeBytes }) => {
    const lacking = account.lacking(region, sizeBytes, isPushed);
    return lacking === undefined || (lacking.reason === 'BUDGET_LINK_DAY' && sizeBytes > account.linkDay(region) && account.isIdle(region));
  });
  return first === undefined ? [] : [first];
}

function* bundlesOf(region: RegionName, fresh: readonly WantedReplica[], { images, isPushed }: AdmissionFacts): Generator<undefined, Bundle[]> {
  const byLayer = new Map(fresh.map((want) => [want.layer, want]));
  const byImage = Map.groupBy(fresh, (want) => imageKey(want.image));
  const bundles: Bundle[] = [];
  for (const [key, own] of byImage) {
    if (bundles.length % STEP_COUNT === 0) yield;
    const image = images.get(key);
    const priority = Math.max(...own.map((want) => want.priority));
    const isPinned = priority > PIN_PRIORITY_BASE / 2;
    const others = image === undefined ? [] : [...image.layers, ...(image.view === undefined ? [] : [image.view])].flatMap(({ digest }) => byLayer.get(digest) ?? []);
    const layers = [...new Set([...own, ...others])].toSorted((a, b) => b.priority - a.priority || (a.layer < b.layer ? -1 : 1));
    const imageBytes = image?.layers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) ?? 0;
    bundles.push({ region, key, layers, isPushed: image !== undefined && isPushed(image), pinPriority: isPinned ? priority : 0, worth: isPinned ? 0 : worthAtPriority(priority, imageBytes) });
  }
  return bundles;
}

/** Those that lack something, in the order of their right to it. */
function* byTurn(bundles: ReadonlyMap<RegionName, readonly Bundle[]>, lackedBytes: (bundle: Bundle) => number): Generator<undefined, Bundle[]> {
  const urgent: { readonly bundle: Bundle; readonly density: number }[] = [];
  for (const ofRegion of bundles.values()) {
    for (const [n, bundle] of ofRegion.entries()) {
      if (n % STEP_COUNT === 0) yield;
      const bytes = lackedBytes(bundle);
      if (bytes > 0) urgent.push({ bundle, density: bundle.worth / bytes });
    }
  }
  const ordered = yield* sortInSteps(urgent, (a, b) => b.bundle.pinPriority - a.bundle.pinPriority || b.density - a.density || compareText(a.bundle.region, b.bundle.region) || compareText(a.bundle.key, b.bundle.key));
  return ordered.map(({ bundle }) => bundle);
}

function* waitingOf(bundles: readonly Bundle[], lackedOf: (bundle: Bundle) => readonly WantedReplica[], account: BudgetAccount): Generator<undefined, Admission['waiting']> {
  const waiting = new Map<string, { readonly reason: WaitReason; readonly missingBytes: number }>();
  for (const [n, bundle] of bundles.entries()) {
    if (n % STEP_COUNT === 0) yield;
    const lacked = lackedOf(bundle);
    const lacking = lacked.length === 0 ? undefined : account.lacking(bundle.region, bytesOf(lacked), bundle.isPushed);
    if (lacking !== undefined) waiting.set(bundle.key, lacking);
  }
  return waiting;
}

function bytesOf(wants: readonly WantedReplica[]): number {
  return wants.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
