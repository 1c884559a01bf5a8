import { readFile } from 'node:fs/promises';

import { type RegionLink, RegionMap } from '#regions';
import { planFanOut } from '#replication';

import { type Figure, measured, median, ratioAtMost, valueAtMost } from '../bench.js';
import { traceFile } from '../trace-file.js';
import { cheapestTreeCost } from './cheapest-tree.js';

/** Stands for round trips that were not measured; prices decide. */
const ROUND_TRIP_MS = 100;
/** What one layer to all regions must cost at most, against copies that all come from its home. */
const STAR_RATIO_MAX = 0.8;
const PLAN_MS_MAX = 5;
/** The home whose figures are named. */
const NAMED_HOME = 'eastus';

/** What one gigabyte from home to every other region costs, by the product's own fan-out, against a star and against the cheapest tree, on list prices between real regions. */
export async function fanOutFigures(): Promise<Figure[]> {
  const { names, links } = await pricedRegions();
  const regions = new RegionMap(names.map((name) => ({ name, displayName: name })), NAMED_HOME, links, { roundTripMs: ROUND_TRIP_MS, throughputBytesPerSecond: 1e9, pricePerGb: Number.POSITIVE_INFINITY });
  const price = (from: string, to: string): number => regions.link(from, to).pricePerGb;
  const arcs = names.flatMap((from, at) => names.map((to, n) => ({ from: at, to: n, cost: price(from, to) })));
  const homes = names.map((home) => {
    const targets = names.filter((name) => name !== home);
    const beganMs = performance.now();
    const plan = planFanOut({ origins: [{ name: home, region: home }], targets: targets.map((name, turn) => ({ name, region: name, heldPieces: 0, turn })), regions, relaysAtEqualPrice: true });
    const tookMs = performance.now() - beganMs;
    const treeUsd = [...plan].reduce((sum, [to, from]) => sum + price(from, to), 0);
    return { home, treeUsd, tookMs, starUsd: targets.reduce((sum, to) => sum + price(home, to), 0), leastUsd: cheapestTreeCost(names.length, names.indexOf(home), arcs) };
  });
  const named = homes.find(({ home }) => home === NAMED_HOME)!;
  const of = `a gigabyte from ${NAMED_HOME} to ${names.length - 1} regions`;
  return [
    measured(`${of}, by a star`, named.starUsd, 'USD'),
    measured(`${of}, by fan-out`, named.treeUsd, 'USD'),
    ratioAtMost(of, named.treeUsd / named.starUsd, { against: 'a star', bound: STAR_RATIO_MAX }),
    ratioAtMost('the same from every home, the worst', Math.max(...homes.map(({ treeUsd, starUsd }) => treeUsd / starUsd)), { against: 'a star', bound: 1 }),
    { ...measured('the same from every home, all together', total(homes, 'treeUsd') / total(homes, 'starUsd'), 'ratio'), against: 'stars' },
    { ...measured('the cheapest trees (Edmonds), all homes together', total(homes, 'leastUsd') / total(homes, 'treeUsd'), 'ratio'), against: 'fan-out' },
    valueAtMost('one plan of fan-out, median', median(homes.map(({ tookMs }) => tookMs)), { unit: 'ms', bound: PLAN_MS_MAX }),
  ];
}

function total<Key extends string>(homes: readonly Readonly<Record<Key, number>>[], key: Key): number {
  return homes.reduce((sum, home) => sum + home[key], 0);
}

/** The regions that have a price from and to each other, and their links. */
async function pricedRegions(): Promise<{ readonly names: readonly string[]; readonly links: readonly RegionLink[] }> {
  const [, ...rows] = (await readFile(traceFile('azure_interregion_network.csv'), 'utf8')).trim().split('\n');
  const links = rows.flatMap((row): RegionLink[] => {
    const [from = '', to = '', gbps = '', roundTrip = '', price = ''] = row.trim().split(',');
    return price === '' ? [] : [{ from, to, throughputBytesPerSecond: (Number(gbps) * 1e9) / 8, roundTripMs: roundTrip === '' ? ROUND_TRIP_MS : Number(roundTrip), pricePerGb: Number(price) }];
  });
  const names = [...new Set(links.flatMap(({ from, to }) => [from, to]))].toSorted();
  const isPriced = (from: string, to: string): boolean => from === to || links.some((link) => link.from === from && link.to === to);
  return { names: names.filter((name) => isPriced(name, NAMED_HOME) && isPriced(NAMED_HOME, name)), links };
}
