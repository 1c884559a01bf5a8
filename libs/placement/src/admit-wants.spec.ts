import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { atOnce } from '#clock';
import type { Digest } from '#oci';
import { MiB } from '#quantities';

import { type Admission, type AdmissionFacts, admitWants, type RegionTurn } from './admit-wants.js';
import { demandPriority, PIN_PRIORITY_BASE } from './copy-priority.js';
import { type HeldReplica, imageKey, type PlacementImage } from './region-facts.js';
import type { WantedReplica } from './region-plan.js';
import { aLayer, anImage } from './testing/region-scene.js';
import type { TransferBudget } from './transfer-budget.js';

const GB = 1e9;

const admissionsOf = (turns: readonly RegionTurn[], facts: AdmissionFacts): ReadonlyMap<string, Admission> => atOnce(admitWants(turns, facts));

/** Wants of images, each layer for the most valued image that has it. */
function wantsOf(images: readonly (readonly [PlacementImage, worth: number])[], pinned: readonly PlacementImage[] = []): WantedReplica[] {
  const wants = new Map<Digest, WantedReplica>();
  for (const [image, worth] of images) {
    const bytes = image.layers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const priority = pinned.includes(image) ? PIN_PRIORITY_BASE : demandPriority(worth, bytes);
    for (const { digest: layer, sizeBytes } of image.layers) if ((wants.get(layer)?.priority ?? -Infinity) < priority) wants.set(layer, { layer, sizeBytes, priority, image });
  }
  return [...wants.values()];
}

function turnOf(region: string, wants: readonly WantedReplica[], replicas: readonly HeldReplica[] = []): RegionTurn {
  return { orders: { region, wants, withdrawals: [] }, isThere: (layer) => replicas.some((replica) => replica.layer === layer) };
}

function budgetOf(regions: readonly string[], changes: { readonly bytesPerDay?: number; readonly carriedBytes?: number; readonly pendingBytes?: number; readonly usdPerDay?: number; readonly pushReserveRatio?: number } = {}): TransferBudget {
  const { bytesPerDay, carriedBytes = 0, pendingBytes = 0, usdPerDay, pushReserveRatio = 0 } = changes;
  const each = { usdPerGb: 0.05, carriedBytes, pendingBytes, ...(bytesPerDay === undefined ? {} : { bytesPerDay }) };
  return { regions: new Map(regions.map((region) => [region, each])), spentUsd: 0, pushReserveRatio, ...(usdPerDay === undefined ? {} : { usdPerDay }) };
}

function factsOf(images: readonly PlacementImage[], budget: TransferBudget, pushed: readonly PlacementImage[] = []): AdmissionFacts {
  return { budget, images: new Map(images.map((image) => [imageKey(image), image])), isPushed: (image) => pushed.includes(image) };
}

const of = (admissions: ReadonlyMap<string, Admission>, region = 'eastus'): Admission => admissions.get(region)!;
const isAdmitted = ({ layers }: Admission, image: PlacementImage): boolean => image.layers.every(({ digest }) => layers.has(digest));

describe('the wants of a turn', () => {
  const base = aLayer('base', 60);
  const [dense, large, light] = [anImage('a:v1', [aLayer('dense', 40)]), anImage('b:v1', [base, aLayer('large', 40)]), anImage('c:v1', [aLayer('light', 30)])];
  const wants = wantsOf([[large, 50], [dense, 40], [light, 5]]);

  it('are all admitted where the budgets suffice', () => {
    expect(of(admissionsOf([turnOf('eastus', wants)], factsOf([dense, large, light], budgetOf(['eastus'], { bytesPerDay: 170 * MiB })))).waiting.size).toBe(0);
  });

  it('are admitted by images: those worth most for each byte that they lack first, whole or not at all', () => {
    const admission = of(admissionsOf([turnOf('eastus', wants)], factsOf([dense, large, light], budgetOf(['eastus'], { bytesPerDay: 120 * MiB }))));
    expect([dense, large, light].map((image) => isAdmitted(admission, image))).toEqual([true, false, true]);
    expect([...admission.layers].toSorted()).toEqual([...dense.layers, ...light.layers].map(({ digest }) => digest).toSorted());
    expect([...admission.waiting]).toEqual([[imageKey(large), { reason: 'BUDGET_LINK_DAY', missingBytes: 50 * MiB }]]);
  });

  it('put what lacks little before what lacks much: images finish', () => {
    const here: HeldReplica[] = [{ layer: base.digest, sizeBytes: base.sizeBytes, state: 'ready', leased: false }];
    const lacked = wants.filter(({ layer }) => layer !== base.digest);
    const admission = of(admissionsOf([turnOf('eastus', lacked, here)], factsOf([dense, large, light], budgetOf(['eastus'], { bytesPerDay: 60 * MiB }))));
    expect([large, dense].map((image) => image.layers.some(({ digest }) => admission.layers.has(digest)))).toEqual([true, false]);
  });

  it('have pinned images first', () => {
    const admission = of(admissionsOf([turnOf('eastus', wantsOf([[large, 50], [light, 0]], [light]))], factsOf([large, light], budgetOf(['eastus'], { bytesPerDay: 100 * MiB }))));
    expect([large, light].map((image) => isAdmitted(admission, image))).toEqual([false, true]);
  });

  it('leave the reserve to what was just pushed', () => {
    const budget = budgetOf(['eastus'], { bytesPerDay: 50 * MiB, pushReserveRatio: 0.2 });
    const [old, fresh] = [anImage('d:v1', [aLayer('old', 40)]), anImage('e:v1', [aLayer('fresh', 10)])];
    const both = wantsOf([[old, 9], [fresh, 1]]);
    expect(of(admissionsOf([turnOf('eastus', both)], factsOf([old, fresh], budget, [fresh]))).waiting.size).toBe(0);
    expect([...of(admissionsOf([turnOf('eastus', both)], factsOf([old, fresh], budget))).waiting.keys()]).toEqual([imageKey(fresh)]);
  });

  it('share a day\'s money over regions, and say that they wait for it', () => {
    const budget = budgetOf(['eastus', 'westus'], { usdPerDay: (40 * MiB * 0.05) / GB });
    const admissions = admissionsOf([turnOf('eastus', wantsOf([[dense, 10]])), turnOf('westus', wantsOf([[dense, 30]]))], factsOf([dense], budget));
    expect([of(admissions).waiting.get(imageKey(dense)), isAdmitted(of(admissions, 'westus'), dense)]).toEqual([{ reason: 'BUDGET_MONEY_DAY', missingBytes: 40 * MiB }, true]);
  });

  it('count what is ordered and not copied yet, and get back what is withdrawn', () => {
    const facts = factsOf([dense], budgetOf(['eastus'], { bytesPerDay: 100 * MiB, carriedBytes: 30 * MiB, pendingBytes: 50 * MiB }));
    expect(of(admissionsOf([turnOf('eastus', wantsOf([[dense, 1]]))], facts)).waiting.get(imageKey(dense))).toEqual({ reason: 'BUDGET_LINK_DAY', missingBytes: 20 * MiB });
    const turn = { orders: { region: 'eastus', wants: wantsOf([[dense, 1]]), withdrawals: [{ layer: base.digest, sizeBytes: 50 * MiB, reason: 'NOT_WANTED' as const }] }, isThere: () => false };
    expect(of(admissionsOf([turn], facts)).waiting.size).toBe(0);
  });

  it('cost nothing where a layer is recalled, or wanted at another turn', () => {
    const here: HeldReplica[] = [{ layer: dense.layers[0]!.digest, sizeBytes: 40 * MiB, state: 'draining', leased: false }];
    expect(isAdmitted(of(admissionsOf([turnOf('eastus', wantsOf([[dense, 1]]), here)], factsOf([dense], budgetOf(['eastus'], { bytesPerDay: 1 })))), dense)).toBe(true);
  });

  it('of an image that lacks more than a day carries are admitted in parts, and a layer of that size when nothing else travels', () => {
    const huge = anImage('h:v1', [aLayer('part 1', 60), aLayer('part 2', 50), aLayer('part 3', 300)]);
    const admit = (carriedBytes: number, wanted: PlacementImage): number => of(admissionsOf([turnOf('eastus', wantsOf([[wanted, 9]]))], factsOf([huge], budgetOf(['eastus'], { bytesPerDay: 100 * MiB, carriedBytes })))).layers.size;
    expect(admit(0, { ...huge, layers: huge.layers.slice(0, 2) })).toBe(1);
    expect(admit(0, huge)).toBe(1);
    const monster = { ...huge, layers: huge.layers.slice(2) };
    expect([admit(0, monster), admit(1, monster)]).toEqual([1, 0]);
  });
});

const anyTurns = fc
  .record({
    sizes: fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 }),
    images: fc.array(fc.record({ worth: fc.double({ min: 0.01, max: 50, noNaN: true }), layers: fc.nat(), isPinned: fc.boolean(), isPushed: fc.boolean() }), { maxLength: 6 }),
    bytesPerDay: fc.option(fc.integer({ min: 40, max: 150 }), { nil: undefined }),
    usdPerDay: fc.option(fc.integer({ min: 0, max: 200 }), { nil: undefined }),
    pendingMiB: fc.nat({ max: 50 }),
    pushReserveRatio: fc.constantFrom(0, 0.2),
  })
  .map(({ sizes, images, bytesPerDay, usdPerDay, pendingMiB, pushReserveRatio }) => {
    const layers = sizes.map((size, n) => aLayer(`l${n}`, size));
    const made = images.map((each, n) => ({ ...each, image: anImage(`r${n}:v1`, layers.filter((_, at) => ((each.layers >> at) & 1) === 1)) }));
    const wants = wantsOf(made.map(({ image, worth }) => [image, worth] as const), made.filter(({ isPinned }) => isPinned).map(({ image }) => image));
    const budget = budgetOf(['eastus', 'westus'], {
      pendingBytes: pendingMiB * MiB, pushReserveRatio,
      ...(bytesPerDay === undefined ? {} : { bytesPerDay: bytesPerDay * MiB }), ...(usdPerDay === undefined ? {} : { usdPerDay: (usdPerDay * MiB * 0.05) / GB }),
    });
    const facts = factsOf(made.map(({ image }) => image), budget, made.filter(({ isPushed }) => isPushed).map(({ image }) => image));
    return { turns: ['eastus', 'westus'].map((region) => turnOf(region, wants)), facts };
  });

describe('the laws of admission', () => {
  const bytesOf = (turn: RegionTurn, admissions: ReadonlyMap<string, Admission>): number =>
    turn.orders.wants.reduce((sum, { layer, sizeBytes }) => (of(admissions, turn.orders.region).layers.has(layer) ? sum + sizeBytes : sum), 0);

  it('spends within the budgets of the day, unless they were passed before', () => {
    fc.assert(fc.property(anyTurns, ({ turns, facts }) => {
      const admissions = admissionsOf(turns, facts);
      let usd = 0;
      for (const turn of turns) {
        const { bytesPerDay = Infinity, pendingBytes, usdPerGb } = facts.budget.regions.get(turn.orders.region)!;
        const bytes = bytesOf(turn, admissions);
        expect(pendingBytes + bytes).toBeLessThanOrEqual(Math.max(bytesPerDay, pendingBytes));
        usd += ((pendingBytes + bytes) * usdPerGb) / GB;
      }
      if (turns.some((turn) => bytesOf(turn, admissions) > 0)) expect(usd).toBeLessThanOrEqual((facts.budget.usdPerDay ?? Infinity) * (1 + 1e-12));
    }), { numRuns: 1000 });
  });

  it('admits nothing more once what was admitted is ordered, whatever the order of the input', () => {
    fc.assert(fc.property(anyTurns, ({ turns, facts }) => {
      const admissions = admissionsOf(turns, facts);
      expect(admissionsOf(turns.toReversed().map((turn) => ({ ...turn, orders: { ...turn.orders, wants: turn.orders.wants.toReversed() } })), facts)).toEqual(admissions);
      const regions = new Map([...facts.budget.regions].map(([region, each], n) => [region, { ...each, pendingBytes: each.pendingBytes + bytesOf(turns[n]!, admissions) }]));
      const later = turns.map(({ orders, isThere }): RegionTurn => {
        const { layers } = of(admissions, orders.region);
        return { orders: { ...orders, wants: orders.wants.filter(({ layer }) => !layers.has(layer)) }, isThere: (layer) => isThere(layer) || layers.has(layer) };
      });
      for (const [region, { layers }] of admissionsOf(later, { ...facts, budget: { ...facts.budget, regions } })) expect([region, layers.size]).toEqual([region, 0]);
    }), { numRuns: 1000 });
  });

  it('admits an image with all that it lacks, or with none that is its own alone, where a day carries it', () => {
    fc.assert(fc.property(anyTurns, ({ turns, facts }) => {
      const admissions = admissionsOf(turns, facts);
      for (const { orders } of turns) {
        const { layers, waiting } = of(admissions, orders.region);
        for (const [key, image] of facts.images) {
          const bytes = image.layers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
          const { bytesPerDay = Infinity } = facts.budget.regions.get(orders.region)!;
          if (!waiting.has(key) || bytes > 0.8 * bytesPerDay || (facts.budget.usdPerDay ?? Infinity) * 0.8 < (bytes * 0.05) / GB) continue;
          const alone = image.layers.filter(({ digest }) => [...facts.images.values()].every((other) => other === image || other.layers.every((layer) => layer.digest !== digest)));
          for (const { digest } of alone) expect(layers.has(digest)).toBe(false);
        }
      }
    }), { numRuns: 1000 });
  });
});
