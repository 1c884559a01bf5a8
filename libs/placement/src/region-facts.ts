import type { ImageForecast } from '#demand';
import type { Digest } from '#oci';
import { DAY_MS } from '#quantities';
import type { RegionName } from '#regions';

/** Names one image: its manifest's digest, in one repository. */
export interface ImageName {
  readonly repository: string;
  readonly digest: Digest;
}

/** An image, and what names it. */
export interface NamedImage extends ImageName {
  /** The tags that name it now, also through an index. */
  readonly tags: readonly string[];
  /** Digests of the indexes that name it: a pin of one of them means this image too. */
  readonly indexes?: readonly Digest[];
}

/** An image that may be placed: all of its layers have been expanded, or refused for good. */
export interface PlacementImage extends NamedImage {
  readonly pushedAt: Date;
  /** Its expanded layers, without those that were refused. */
  readonly layers: readonly StoredLayer[];
  /** Its merged view, once that is expanded. It goes where all the layers are, as far as there is room, and decides nothing: neither what is placed, nor what gives way. */
  readonly view?: StoredLayer | undefined;
}

/** The expanded form of a layer, or of a merged view. */
export interface StoredLayer {
  readonly digest: Digest;
  /** Of the `.vhd` on a share. */
  readonly sizeBytes: number;
}

/** An image that may not be placed yet: some of its layers are still to be expanded, or expanded again. Plans only keep what it will need. */
export interface UnfinishedImage extends NamedImage {
  /** Absent when only its name is known. */
  readonly pushedAt?: Date;
  /** The layers that are known, expanded or not. */
  readonly layers: readonly Digest[];
}

/** The images of enabled repositories: each is in one of the lists, and stands there once. */
export interface CatalogueImages {
  readonly placeable: readonly PlacementImage[];
  readonly unfinished: readonly UnfinishedImage[];
}

/** A replica as its share holds it, or will. */
export interface HeldReplica {
  readonly layer: Digest;
  readonly sizeBytes: number;
  readonly state: 'wanted' | 'copying' | 'ready' | 'draining';
  /** True while a node has it mounted. */
  readonly leased: boolean;
  /** When a gateway made it of bytes that passed, and nobody ordered it; absent of what was ordered. */
  readonly passedAt?: Date | undefined;
  /** The priority with which it is wanted, as far as it is known: a plan repeats an order only to change this. */
  readonly priority?: number;
}

/** A pin that holds, meant for this region, and resolved to one image, unfinished or not. */
export interface RegionPin {
  /** The pin's id. */
  readonly id: string;
  readonly image: ImageName;
  readonly priority: number;
  readonly createdAt: Date;
}

/** How a plan weighs. */
export interface PlacementParameters {
  /** How far ahead demand is looked at: about how long a replica stays. */
  readonly horizonMs: number;
  /**
   * An image is placed when the bytes that the pulls expected of it would fetch are this many times the bytes that it adds: at 1 a copy is worth its bytes. So an image of which every byte is
   * new needs this many pulls within the horizon, and one that adds a tenth of its bytes a tenth of them. >= 0.
   */
  readonly minimumExpectedPulls: number;
  /** However little it adds, an image is placed only with at least so many expected pulls; from `minimumExpectedPulls` on that alone counts. >= 0. */
  readonly leastExpectedPulls: number;
  /**
   * What a pull that finds its image there is worth besides the bytes that it saves, in images of the usual size, which is the mean of all: with 0 a copy is worth what it saves on the way, and with
   * more a chance to be pulled is enough for a small image, while a large one still has to bring back most of its bytes. >= 0.
   */
  readonly hitImages: number;
  /** An image that is there is kept down to this share of what it would need to come; 0..1. */
  readonly keepRatio: number;
  /** What a byte that is there already counts for, against a new one, when images compete; above 0, up to 1. */
  readonly heldBytesRatio: number;
  /** Images that are there give way only when what comes is worth more than what goes by this ratio; >= 0. */
  readonly switchGainRatio: number;
  /** What a gigabyte of an image adds to the worth of each of its pulls: 0 counts hits, more counts the bytes that they save. >= 0. */
  readonly gigabyteWeight: number;
  /** What the first pull of an image counts besides where it was never pulled before; >= 0. */
  readonly firstPullWeight: number;
  /** Layers smaller than this are wanted of all images, demand or not; 0 for none. */
  readonly smallLayerBytes: number;
  /** The share of the capacity beyond which no such layer is added, those that are there anyway included; 0..1. */
  readonly smallLayersRatio: number;
  /**
   * The share of the capacity that is kept from demand for what passes through the region's gateway: what passed last stays in it, whatever is expected of it. Plans order nothing for it; the gateway
   * has what passed longest ago go when more passes. 0 for none, up to 0.5.
   */
  readonly reactiveRatio: number;
}

/** The parameters where nothing else is configured, and pulls go through a gateway of their region: they ask for hits, as far as bytes allow (docs/decisions/0012-replay.md has what they find and cost). */
export const PLACEMENT_PARAMETERS_DEFAULT: PlacementParameters = {
  horizonMs: 7 * DAY_MS,
  minimumExpectedPulls: 1,
  hitImages: 8,
  keepRatio: 0,
  heldBytesRatio: 0.25,
  switchGainRatio: 0.5,
  leastExpectedPulls: 0.02,
  gigabyteWeight: 0.4,
  firstPullWeight: 4,
  smallLayerBytes: 1_000_000,
  smallLayersRatio: 0.01,
  reactiveRatio: 0.1,
};

/** All that a plan for one region depends on. Lists may be in any order; each image, and each layer's replica, stands there once. */
export interface RegionFacts {
  readonly region: RegionName;
  /** True where pushed layers are expanded: everything referenced stays there, and what it lacks is copied back from elsewhere. */
  readonly home: boolean;
  /** What the region's share may hold, in bytes. */
  readonly capacityBytes: number;
  readonly images: readonly PlacementImage[];
  /** The images of the same repositories that may not be placed yet; none of them is among `images`. */
  readonly unfinished: readonly UnfinishedImage[];
  /** What is expected of each image, unfinished ones included, by `imageKey`; of those that lack, nothing. */
  readonly forecasts: ReadonlyMap<string, ImageForecast>;
  readonly pins: readonly RegionPin[];
  readonly replicas: readonly HeldReplica[];
  /** Layers that an enabled repository references, or did until a grace time ago. Those that no image above has are left alone. */
  readonly referenced: ReadonlySet<Digest>;
  /** Layers of which this region holds the last ready replica while they are referenced, or will once what drains here is recalled. */
  readonly mustKeep: ReadonlySet<Digest>;
  /** At home, layers that some other region has ready: those can be copied back. Read nowhere else. */
  readonly readyElsewhere: ReadonlySet<Digest>;
  readonly parameters: PlacementParameters;
}

/** One text for one image: a repository's name holds no space. */
export function imageKey(image: ImageName): string {
  return `${image.repository} ${image.digest}`;
}
