import { ManualClock } from '#clock/testing';
import type { Digest } from '#oci';
import { MemoryPinStore } from '#pins/testing';
import { type PlacementDecision, PLACEMENT_PARAMETERS_DEFAULT, type PlacementImage, type PlacementParameters, Planner, type PlanningReport, type PlanTriggerKind, TURN_LEASE_DEFAULT_MS, TURN_WAIT_DEFAULT_MS } from '#placement';
import { MemoryPlacementWorld, MemoryPlannerTurn, MemoryPlanStore, replicasOf } from '#placement/testing';
import { formatBytes, HOUR_MS, MiB } from '#quantities';

import { seededRandom } from '../../faults/seeded-random.js';
import { SimulatedDemand } from './simulated-demand.js';
import { firstImages, tasteOf } from './simulated-registry.js';

/** Where layers are expanded; no pulls are told of it. */
export const HOME = 'westeurope';
/** Nodes of one region, or their like somewhere else, that pull. */
export interface Flow {
  /** Where. */
  readonly region: string;
  /** Whose nodes they are: each region runs something else. */
  readonly as: string;
  readonly pullsPerHour: number;
}

/** What is pulled away from home. */
export const USUAL: readonly Flow[] = [{ region: 'eastus', as: 'eastus', pullsPerHour: 24 }, { region: 'southeastasia', as: 'southeastasia', pullsPerHour: 12 }];
/** What a share holds where a scenario does not say: about half of what there is. */
export const CAPACITY_BYTES = 1400 * MiB;
const BEGIN = new Date('2026-06-01T00:00:00.000Z');
/** What all nodes of one region have in a name. */
const NODES_PER_REGION = 40;

/** What pulls met. */
export interface PullCount {
  pulls: number;
  hits: number;
}

/** How hours of ordinary traffic differ from ordinary. */
export interface TrafficOptions {
  /** Who pulls, instead of the usual. */
  readonly flows?: readonly Flow[];
  /** What is pulled instead of the usual images, each with its part. */
  readonly of?: readonly { readonly image: PlacementImage; readonly part: number }[];
  /** Whether plans are made by the clock; every hour unless told otherwise. */
  readonly plan?: boolean;
  /** How wrong the clocks of nodes are. */
  readonly skewMs?: number;
  /** Telemetry is kept back for half an hour, and then told so many times; at once, and once, where it is not given. */
  readonly lateAndTimes?: number;
}

/**
 * One deployment on a simulated clock, without gateways: the product's own demand room, planner and stores in memory, with copies that end at once. Everything that happens is the same every time; what is told
 * becomes the transcript.
 */
export class StressStory {
  readonly clock = new ManualClock(BEGIN);
  readonly world = new MemoryPlacementWorld();
  readonly pins = new MemoryPinStore();
  readonly demand = new SimulatedDemand();
  readonly plans = new MemoryPlanStore();
  readonly images = firstImages(BEGIN);
  /** Bytes that were copied to each region so far. */
  readonly #copiedBytes = new Map<string, number>();
  readonly #names = new Map<Digest, string>();
  readonly #capacity = new Map<string, number>();
  readonly #random = seededRandom(20260601);
  readonly #lines: string[] = [];
  readonly #planner: Planner;

  /**
   * @param capacityBytes of the shares away from home.
   * @param weights of the planner that are not its own.
   */
  constructor(capacityBytes = CAPACITY_BYTES, weights: Partial<PlacementParameters> = {}) {
    this.#planner = new Planner({
      facts: this.world, orders: this.world.orders, pins: this.pins, forecasts: this.demand.forecasts, plans: this.plans, turn: new MemoryPlannerTurn(), clock: this.clock,
      owner: 'story', parameters: { ...PLACEMENT_PARAMETERS_DEFAULT, reactiveRatio: 0, ...weights }, turnLeaseMs: TURN_LEASE_DEFAULT_MS, turnWaitMs: TURN_WAIT_DEFAULT_MS,
    });
    this.setCapacity(HOME, 1e12);
    for (const { region } of USUAL) this.setCapacity(region, capacityBytes);
    for (const { image } of this.images) this.push(image);
  }

  /** What was told. */
  get transcript(): string {
    return `${this.#lines.join('\n')}\n`;
  }

  /** Adds a line: what happens, at the left margin. */
  tell(line: string): void {
    this.#lines.push(`${this.clock.now().toISOString().slice(5, 16).replace('T', ' ')}  ${line}`);
  }

  /** Bytes that were copied to regions so far. */
  get copiedBytes(): number {
    return [...this.#copiedBytes.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Bytes that were copied to a region so far. */
  copiedTo(region: string): number {
    return this.#copiedBytes.get(region) ?? 0;
  }

  setCapacity(region: string, capacityBytes: number): void {
    this.#capacity.set(region, capacityBytes);
    this.world.setRegion({ region, home: region === HOME, capacityBytes });
  }

  /** Pushes an image: its layers are ready at home. What its tags named before they do not name any more. */
  push(image: PlacementImage): PlacementImage {
    const pushed = { ...image, pushedAt: this.clock.now() };
    for (const tag of pushed.tags) this.world.untag(pushed.repository, tag);
    this.world.remove(({ repository, digest }) => repository === pushed.repository && digest === pushed.digest);
    this.world.push(pushed);
    this.world.hold(HOME, replicasOf(pushed.layers));
    this.#names.set(pushed.digest, `${pushed.repository}:${pushed.tags[0] ?? '?'}`);
    return pushed;
  }

  /** Whether a region has all of an image ready. */
  has(region: string, { layers }: PlacementImage): boolean {
    const ready = new Set(this.world.held(region).filter(({ state }) => state === 'ready').map(({ layer }) => layer));
    return layers.every(({ digest }) => ready.has(digest));
  }

  /** A node pulls: what it meets is counted, and told to demand. */
  pull(image: PlacementImage, region: string, { node, skewMs = 0 }: { readonly node: string; readonly skewMs?: number }): boolean {
    const now = this.clock.now();
    this.demand.observe({ region, repository: image.repository, image: image.digest, at: new Date(now.getTime() + skewMs), clientHash: node }, now);
    return region === HOME || this.has(region, image);
  }

  /** Hours of traffic, evenly over each hour, and of plans. @returns what pulls met, by region. */
  async traffic(hours: number, options: TrafficOptions = {}): Promise<Record<string, PullCount>> {
    const { flows = USUAL, of = this.images, plan = true, skewMs, lateAndTimes } = options;
    const counts: Record<string, PullCount> = {};
    for (let hour = 0; hour < hours; hour += 1) {
      for (const half of [0, 1]) {
        for (const { region, as, pullsPerHour } of flows) {
          const count = (counts[region] ??= { pulls: 0, hits: 0 });
          for (let n = 0; n < pullsPerHour / 2; n += 1) {
            const image = choose(of, as, this.#random());
            const node = `${as} node ${Math.floor(this.#random() * NODES_PER_REGION)}`;
            count.pulls += 1;
            if (this.pull(image, region, { node, ...(skewMs === undefined ? {} : { skewMs }) })) count.hits += 1;
          }
        }
        if (lateAndTimes === undefined || half === 1) await this.demand.flush(this.clock.now(), lateAndTimes);
        else this.demand.hold(this.clock.now());
        await this.clock.advance(HOUR_MS / 2);
      }
      if (plan) await this.plan('schedule', { quiet: true });
    }
    const told = Object.entries(counts).filter(([, { pulls }]) => pulls > 0).map(([region, { pulls, hits }]) => `${region} ${pulls} pulls, ${((100 * hits) / pulls).toFixed(0)} % hits`);
    this.tell(`${hours} h of traffic: ${told.join('; ') || 'no pulls'}`);
    return counts;
  }

  /** Plans everywhere, or for a repository alone; lets copies and removals end, and tells what changed. */
  async plan(trigger: PlanTriggerKind, { quiet = false, only }: { readonly quiet?: boolean; readonly only?: string } = {}): Promise<PlanningReport> {
    const before = new Map([...this.#capacity.keys()].map((region) => [region, this.#heldBytes(region)]));
    const report = only === undefined ? await this.#planner.planAll(trigger) : await this.#planner.planRepositories([only]);
    this.world.settle();
    for (const { region, usedBytes, forcedBytes, capacityBytes } of report.regions) {
      if (region === HOME) continue;
      const held = this.#heldBytes(region);
      if (Math.max(usedBytes, held) > Math.max(capacityBytes, forcedBytes)) throw new Error(`${region} uses ${Math.max(usedBytes, held)} bytes of ${capacityBytes}`);
      this.#copiedBytes.set(region, this.copiedTo(region) + Math.max(0, held - (before.get(region) ?? 0)));
    }
    if (!quiet) await this.#tellPlan(report);
    return report;
  }

  /** Tells what is in a region. */
  show(region: string): void {
    this.tell(`${region} has ${formatBytes(this.#heldBytes(region))} of ${formatBytes(this.#capacity.get(region) ?? 0)}: ${this.present(region).join(', ') || 'nothing'}`);
  }

  /** The names of the images that a region has whole, in alphabetical order. */
  present(region: string): string[] {
    const ready = new Set(this.world.held(region).filter(({ state }) => state === 'ready').map(({ layer }) => layer));
    return [...new Set(this.world.pushed.filter(({ layers }) => layers.every(({ digest }) => ready.has(digest))).map(({ digest }) => this.nameOf(digest)))].toSorted();
  }

  nameOf(digest: Digest): string {
    return this.#names.get(digest) ?? digest;
  }

  #heldBytes(region: string): number {
    return this.world.held(region).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  async #tellPlan({ regions, trigger }: PlanningReport): Promise<void> {
    for (const { id, region, counts, usedBytes, capacityBytes, repositories } of regions) {
      if (region === HOME) continue;
      const decisions = (await this.plans.get(id))?.decisions ?? [];
      this.#lines.push(`    ${region}, plan ${repositories === undefined ? `(${trigger})` : `for ${repositories.join(', ')}`}: ${formatBytes(usedBytes)} of ${formatBytes(capacityBytes)}; copy ${counts.wants}, drain ${counts.drains}`);
      for (const decision of decisions.filter(({ verdict, isEvicted }) => verdict !== 'kept' && (verdict !== 'refused' || isEvicted === true))) this.#lines.push(`      ${this.#describe(decision)}`);
    }
  }

  #describe({ digest, verdict, reason, expectedPulls, marginalBytes, missingBytes, isEvicted, displacedBy = [] }: PlacementDecision): string {
    const parts = [`${expectedPulls.toFixed(1)} pulls expected`, `adds ${formatBytes(marginalBytes)}`, ...(missingBytes === undefined ? [] : [`${formatBytes(missingBytes)} too many`])];
    const by = displacedBy.length === 0 ? '' : `, for ${displacedBy.map((image) => this.nameOf(image.digest)).join(', ')}`;
    return `${this.nameOf(digest)} ${isEvicted === true ? 'goes' : verdict} (${reason}): ${parts.join(', ')}${by}`;
  }
}

function choose(of: readonly { readonly image: PlacementImage; readonly part: number }[], region: string, random: number): PlacementImage {
  const parts = of.map(({ image, part }) => part * tasteOf(region, image.repository));
  let left = random * parts.reduce((sum, part) => sum + part, 0);
  for (const [n, part] of parts.entries()) if ((left -= part) < 0) return of[n]!.image;
  return of.at(-1)!.image;
}
