/** A directed pair of nodes, and what going along it costs. */
interface Arc {
  readonly from: number;
  readonly to: number;
  readonly cost: number;
}

/**
 * What the cheapest tree costs that reaches every node from a root, along arcs (Chu and Liu 1965, Edmonds 1967): each node takes its cheapest arc, and where these close a circle it is made one node.
 * @throws {RangeError} when some node cannot be reached.
 */
export function cheapestTreeCost(nodeCount: number, root: number, arcs: readonly Arc[]): number {
  const cheapest = new Array<Arc | undefined>(nodeCount).fill(undefined);
  for (const arc of arcs) if (arc.to !== root && arc.from !== arc.to && arc.cost < (cheapest[arc.to]?.cost ?? Number.POSITIVE_INFINITY)) cheapest[arc.to] = arc;
  let cost = 0;
  const mergedInto = new Int32Array(nodeCount).fill(-1);
  const walkOf = new Int32Array(nodeCount).fill(-1);
  let count = 0;
  for (let start = 0; start < nodeCount; start += 1) {
    if (start !== root && cheapest[start] === undefined) throw new RangeError(`node ${start} cannot be reached`);
    cost += cheapest[start]?.cost ?? 0;
    let node = start;
    while (node !== root && walkOf[node] === -1 && mergedInto[node] === -1) {
      walkOf[node] = start;
      node = cheapest[node]!.from;
    }
    if (node === root || walkOf[node] !== start || mergedInto[node] !== -1) continue;
    // The walk came back to itself: a circle.
    for (let at = node; mergedInto[at] === -1; at = cheapest[at]!.from) mergedInto[at] = count;
    count += 1;
  }
  if (count === 0) return cost;
  for (let node = 0; node < nodeCount; node += 1) {
    if (mergedInto[node] !== -1) continue;
    mergedInto[node] = count;
    count += 1;
  }
  const between = arcs.filter(({ from, to }) => mergedInto[from] !== mergedInto[to]);
  const contracted = between.map(({ from, to, cost: own }) => ({ from: mergedInto[from]!, to: mergedInto[to]!, cost: own - (cheapest[to]?.cost ?? 0) }));
  return cost + cheapestTreeCost(count, mergedInto[root]!, contracted);
}
