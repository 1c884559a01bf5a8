import type { Digest } from '#oci';
import { layerFilePath, type MountSource, type Share } from '#shares';

import type { LayerMount } from './mount-answer.js';

/** Names a layer's file, the same on every share. */
export interface LayerFile {
  readonly digest: Digest;
  readonly writerVersion: number;
}

/** Says how the file of a layer on a share is reached. Asked within an answer: it returns at once, from memory or by computing. */
export abstract class MountSources {
  /**
   * The ways to reach that file on that share, best first. It is not asked whether the file is there.
   * @throws anything; the layer is then tried on the next share.
   */
  abstract of(file: LayerFile, share: string, now: Date): readonly LayerMount[];
}

/** What {@link ShareMountSources} is made with. */
export interface ShareMountSourcesOptions {
  /** By name. A share that is not here has no sources. */
  readonly shares: ReadonlyMap<string, Pick<Share, 'mountSources'>>;
  /**
   * How long a new grant holds, in milliseconds. It is handed out during the first half of that, so every caller has at least
   * half of it: twice the lease's length or more keeps a leased mount from losing its grant.
   */
  readonly grantMs: number;
  /** Grants remembered for each share; the oldest goes first. Default {@link GRANTS_PER_SHARE_MAX}. */
  readonly grantsPerShareMax?: number;
}

/** About 60 MB for a share whose grants are all remembered. */
export const GRANTS_PER_SHARE_MAX = 100_000;

interface Granted {
  readonly writerVersion: number;
  readonly mounts: readonly LayerMount[];
  /** In milliseconds since the epoch. */
  readonly renewAtMs: number;
}

/** Sources by the shares' own drivers. Signing a grant costs more than the rest of an answer, so grants are remembered. */
export class ShareMountSources extends MountSources {
  readonly #options: ShareMountSourcesOptions;
  readonly #granted = new Map<string, Map<Digest, Granted>>();

  constructor(options: ShareMountSourcesOptions) {
    super();
    this.#options = options;
  }

  of({ digest, writerVersion }: LayerFile, share: string, now: Date): readonly LayerMount[] {
    const { shares, grantMs, grantsPerShareMax = GRANTS_PER_SHARE_MAX } = this.#options;
    const driver = shares.get(share);
    if (driver === undefined) return [];
    let remembered = this.#granted.get(share);
    if (remembered === undefined) this.#granted.set(share, (remembered = new Map<Digest, Granted>()));
    const known = remembered.get(digest);
    if (known !== undefined && known.writerVersion === writerVersion && now.getTime() < known.renewAtMs) return known.mounts;
    const mounts = driver.mountSources(layerFilePath(digest, writerVersion), new Date(now.getTime() + grantMs)).map(toLayerMount);
    remembered.delete(digest);
    remembered.set(digest, { writerVersion, mounts, renewAtMs: now.getTime() + grantMs / 2 });
    if (remembered.size > grantsPerShareMax) remembered.delete(remembered.keys().next().value as Digest);
    return mounts;
  }
}

function toLayerMount(source: MountSource): LayerMount {
  const { type, region, options } = source;
  return { type, region, source: source.source, options, ...(source.expiresAt === undefined ? {} : { expiresAt: source.expiresAt.toISOString() }) };
}
