import type { RegionMap, RegionName } from '#regions';

/** A share that has the layer whole. */
export interface FanOutOrigin {
  /** Unique among all origins and targets of a plan. */
  readonly name: string;
  readonly region: RegionName;
}

/** A share that the layer is being copied to. */
export interface FanOutTarget extends FanOutOrigin {
  /** Verified pieces that it has so far. */
  readonly heldPieces: number;
  /** Its place in the order in which the targets began; no two have the same. What a target has under way from an origin already should not travel again. */
  readonly turn: number;
  /** Origins and targets that it must not take from, by name: they failed it. At least one origin is not among them. */
  readonly barred?: ReadonlySet<string> | undefined;
}

/** What a plan is made from. */
export interface FanOutProblem {
  readonly origins: readonly FanOutOrigin[];
  readonly targets: readonly FanOutTarget[];
  readonly regions: RegionMap;
  /** Whether taking from a target is worth its detour where it is only as cheap as taking from an origin: for files of one piece it is not. */
  readonly relaysAtEqualPrice: boolean;
}

/** From whom each target takes the layer, by names. */
export type FanOutPlan = ReadonlyMap<string, string>;

/** A share that others can take from, as the tree grows. */
interface Node {
  readonly place: FanOutOrigin;
  readonly isOrigin: boolean;
  readonly isHome: boolean;
  readonly heldPieces: number;
  /** What reaches it, in bytes per second. */
  readonly rate: number;
  /** What it is taken to give out, to all together: as much as its best link carries. */
  readonly outRate: number;
  takers: number;
}

interface Edge {
  readonly node: Node;
  readonly target: FanOutTarget;
  readonly price: number;
  readonly roundTripMs: number;
  readonly rate: number;
}

/**
 * Decides how one layer reaches several shares: a tree whose roots are the origins and in which targets pass on what they have got. Each target takes from
 * the cheapest one, whole or not, that has at least as much as itself; of equally cheap ones from the one that leaves it the most throughput, counting that
 * who gives to several divides what it can give; and from the home region last. So with equal links the origin gives the bytes out once, and each target to the next,
 * also when one of them has become whole.
 *
 * Every target has a source, none takes from itself by any way round, and the bytes cost no more than from the origins alone. The order of the input does
 * not matter. A decision; cost: targets² × (origins + targets).
 */
export function planFanOut({ origins, targets, regions, relaysAtEqualPrice }: FanOutProblem): FanOutPlan {
  const outRateOf = (place: FanOutOrigin): number => bestRate(place, targets, regions);
  const nodes: Node[] = origins.map((place) => ({
    place, isOrigin: true, isHome: place.region === regions.home, heldPieces: Number.POSITIVE_INFINITY, rate: Number.POSITIVE_INFINITY, outRate: outRateOf(place), takers: 0,
  }));
  const plan = new Map<string, string>();
  const left = new Set(targets);
  while (left.size > 0) {
    let best: Edge | undefined;
    for (const target of left) {
      for (const node of nodes) {
        if (target.barred?.has(node.place.name) === true || node.heldPieces < target.heldPieces) continue;
        const edge = edgeOf(node, target, regions);
        if (best === undefined || compare(edge, best, relaysAtEqualPrice) < 0) best = edge;
      }
    }
    if (best === undefined) break;
    const { node, target, rate } = best;
    plan.set(target.name, node.place.name);
    node.takers += 1;
    left.delete(target);
    nodes.push({ place: target, isOrigin: false, isHome: false, heldPieces: target.heldPieces, rate, outRate: outRateOf(target), takers: 0 });
  }
  return plan;
}

function edgeOf(node: Node, target: FanOutTarget, regions: RegionMap): Edge {
  const { pricePerGb, roundTripMs, throughputBytesPerSecond } = regions.link(node.place.region, target.region);
  return { node, target, price: pricePerGb, roundTripMs, rate: Math.min(node.rate, throughputBytesPerSecond, node.outRate / (node.takers + 1)) };
}

/** Total: no two edges are equal. Of the targets, those that have more come first, and those that began earlier, so that they can give to the others. */
function compare(a: Edge, b: Edge, relaysAtEqualPrice: boolean): number {
  return (
    a.price - b.price ||
    b.target.heldPieces - a.target.heldPieces ||
    a.target.turn - b.target.turn ||
    (relaysAtEqualPrice ? 0 : Number(b.node.isOrigin) - Number(a.node.isOrigin)) ||
    descending(a.rate, b.rate) ||
    a.node.takers - b.node.takers ||
    Number(a.node.isHome) - Number(b.node.isHome) ||
    a.roundTripMs - b.roundTripMs ||
    byText(a.node.place.name, b.node.place.name)
  );
}

/** Infinite ones are equal. */
function descending(a: number, b: number): number {
  return a === b ? 0 : b - a;
}

function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Of its links to the targets, those within its region left aside: they have no bound. */
function bestRate(from: FanOutOrigin, targets: readonly FanOutTarget[], regions: RegionMap): number {
  const rates = targets.flatMap(({ region }) => (region === from.region ? [] : [regions.link(from.region, region).throughputBytesPerSecond]));
  return rates.length === 0 ? Number.POSITIVE_INFINITY : Math.max(...rates);
}
