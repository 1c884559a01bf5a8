import type { ImageForecast } from '#demand';
import { digestOf, type Digest } from '#oci';
import { MiB } from '#quantities';

import { type HeldReplica, imageKey, type ImageName, PLACEMENT_PARAMETERS_DEFAULT, type PlacementImage, type PlacementParameters, type RegionFacts, type RegionPin, type UnfinishedImage } from '../region-facts.js';
import type { RegionPlan, WantedReplica } from '../region-plan.js';

/** The instant of every scene. */
export const SCENE_NOW = new Date('2026-06-01T12:00:00.000Z');

/** Parameters that a test can reckon with: hits count, and nothing else; every byte that is copied has to be brought back; and nothing is kept for what passes. */
export const PLAIN_PARAMETERS: PlacementParameters = {
  ...PLACEMENT_PARAMETERS_DEFAULT,
  minimumExpectedPulls: 1, leastExpectedPulls: 0.2, hitImages: 0, keepRatio: 0.5, heldBytesRatio: 0.5, switchGainRatio: 0.1, gigabyteWeight: 0, firstPullWeight: 0, reactiveRatio: 0,
};

/** A layer of a size in MiB; its digest is made from its name. */
export function aLayer(name: string, sizeMiB: number): { readonly digest: Digest; readonly sizeBytes: number } {
  return { digest: digestOf(`layer ${name}`), sizeBytes: sizeMiB * MiB };
}

/** An image `repository:tag` of some layers, pushed some hours before the scene. */
export function anImage(name: `${string}:${string}`, layers: PlacementImage['layers'], hoursOld = 1): PlacementImage {
  const [repository = '', tag = ''] = name.split(':');
  return { repository, digest: digestOf(`image ${name}`), tags: [tag], pushedAt: new Date(SCENE_NOW.getTime() - hoursOld * 3_600_000), layers };
}

/** The same image while some of its layers are still to be expanded. */
export function unfinished({ repository, digest, tags, layers }: PlacementImage): UnfinishedImage {
  return { repository, digest, tags, layers: layers.map((layer) => layer.digest) };
}

/** A forecast of pulls; of its own demand where nothing else is said. */
export function aForecast(pulls: number | Partial<Pick<ImageForecast, 'ownPulls' | 'inheritedPulls' | 'elsewherePulls'>>): ImageForecast {
  const { ownPulls = 0, inheritedPulls = 0, elsewherePulls = 0 } = typeof pulls === 'number' ? { ownPulls: pulls } : pulls;
  const expectedPulls = ownPulls + inheritedPulls + elsewherePulls;
  return { expectedPulls, ownPulls, inheritedPulls, elsewherePulls, probability: -Math.expm1(-expectedPulls), low: 0, high: 3 * expectedPulls };
}

/** Forecasts of images by `repository:tag`. */
export function expecting(pulls: Readonly<Record<`${string}:${string}`, Parameters<typeof aForecast>[0]>>): RegionFacts['forecasts'] {
  return new Map(Object.entries(pulls).map(([name, of]) => {
    const [repository = ''] = name.split(':');
    return [imageKey({ repository, digest: digestOf(`image ${name}`) }), aForecast(of)];
  }));
}

/** A pin of an image; its id tells the image and the priority. */
export function aRegionPin(image: ImageName & { readonly tags: readonly string[] }, priority = 0, createdAt = SCENE_NOW): RegionPin {
  return { id: `pin ${image.repository}:${image.tags[0] ?? ''} at ${priority}`, image: { repository: image.repository, digest: image.digest }, priority, createdAt };
}

/** Replicas of layers in one state. */
export function replicasOf(layers: PlacementImage['layers'], state: HeldReplica['state'] = 'ready', leased = false): HeldReplica[] {
  return layers.map((layer) => ({ layer: layer.digest, sizeBytes: layer.sizeBytes, state, leased }));
}

/** Facts of eastus, empty but for what a test cares about, under {@link PLAIN_PARAMETERS}. Every layer of an image counts as referenced. */
export function aRegion(changes: Partial<RegionFacts> = {}): RegionFacts {
  const images = changes.images ?? [];
  return {
    region: 'eastus',
    home: false,
    capacityBytes: 1000 * MiB,
    images,
    unfinished: [],
    forecasts: new Map(),
    pins: [],
    replicas: [],
    referenced: new Set(images.flatMap((image) => image.layers.map((layer) => layer.digest))),
    mustKeep: new Set(),
    readyElsewhere: new Set(),
    parameters: PLAIN_PARAMETERS,
    ...changes,
  };
}

/**
 * What stands on a share once a replica was ordered: one that drains is recalled, ready at once, unless its removal has begun (`isBeingRemoved`); what is
 * not gone is kept.
 */
export function ordered(replica: HeldReplica | undefined, { layer, sizeBytes, priority }: Omit<WantedReplica, 'image'>, isBeingRemoved = false): HeldReplica {
  if (replica === undefined || replica.state === 'wanted') return { layer, sizeBytes, state: 'wanted', leased: false, priority };
  const taken = { ...replica, passedAt: undefined };
  return taken.state === 'draining' && !isBeingRemoved ? { ...taken, state: 'ready' } : taken;
}

/** The facts as they are once a plan's orders have been written down, before anything was copied or removed; `removing` are layers whose removal has begun. */
export function applyOrders(facts: RegionFacts, plan: RegionPlan, removing: ReadonlySet<Digest> = new Set()): RegionFacts {
  const replicas = new Map(facts.replicas.map((replica) => [replica.layer, replica]));
  for (const { layer } of plan.withdrawals) replicas.delete(layer);
  for (const { layer } of plan.drains) {
    const replica = replicas.get(layer);
    if (replica !== undefined) replicas.set(layer, { ...replica, state: 'draining' });
  }
  for (const want of [...plan.adoptions, ...plan.wants]) replicas.set(want.layer, ordered(replicas.get(want.layer), want, removing.has(want.layer)));
  return { ...facts, replicas: [...replicas.values()] };
}

/** The facts once everything ordered has been done: wanted replicas are ready, draining ones gone. */
export function completeOrders(facts: RegionFacts): RegionFacts {
  const replicas = facts.replicas
    .filter((replica) => replica.state !== 'draining')
    .map(({ layer, sizeBytes, leased, passedAt }): HeldReplica => ({ layer, sizeBytes, leased, passedAt, state: 'ready' }));
  return { ...facts, replicas };
}
