import { join } from 'node:path';

import type { Digest } from '#oci';
import { layerFilePath, type MountSource, type Share } from '#shares';

import type { CallerNetwork } from './caller-networks.js';
import type { LayerMount, PullReason } from './mount-answer.js';
import { spreadOf } from './spread.js';

/** Names a layer's file, the same on every share. */
export interface LayerFile {
  readonly digest: Digest;
  readonly writerVersion: number;
}

/** Says how the file of a layer on a share is reached. Asked within an answer: it returns at once, from memory or by computing. */
export abstract class MountSources {
  /**
   * The ways to reach that file on that share, best first; or why there is none although it may be there. It is not asked whether the file is there.
   * @param caller where the caller's address is; undefined when that says nothing.
   * @throws anything; the layer is then tried on the next share.
   */
  abstract of(file: LayerFile, share: string, now: Date, caller?: CallerNetwork): readonly LayerMount[] | PullReason;

  /** A number that is another one whenever `of` may say otherwise than before, but for grants that it makes anew. Cheap: it is asked with every answer. */
  abstract standing(now: Date): number;
}

/** What {@link ShareMountSources} is made with. */
export interface ShareMountSourcesOptions {
  /** By name. A share that is not here has no sources. */
  readonly shares: ReadonlyMap<string, Pick<Share, 'mountSources' | 'region'>>;
  /** Names of shares that are given by NFS in their own networks only: NFS knows no credentials, so the network is what admits. Default none. */
  readonly nfsBound?: ReadonlySet<string>;
  /**
   * How long a new grant holds, in milliseconds. It is handed out during the first quarter of that, or up to the first half, so every caller has at least
   * half of it: twice the lease's length or more keeps a leased mount from losing its grant.
   */
  readonly grantMs: number;
  /** Grants remembered for each share; the oldest goes first. Default {@link GRANTS_PER_SHARE_MAX}. */
  readonly grantsPerShareMax?: number;
}

/** About 80 MB for a share whose grants are all remembered. */
export const GRANTS_PER_SHARE_MAX = 100_000;

/** What is remembered of a file: until when, in milliseconds since the epoch, of which writer's version, and its mounts. */
type Granted = readonly [renewAtMs: number, writerVersion: number, mounts: readonly LayerMount[]];

/** Sources by the shares' own drivers. Signing a grant costs more than the rest of an answer, so grants are remembered. */
export class ShareMountSources extends MountSources {
  readonly #options: ShareMountSourcesOptions;
  /**
   * By share and layer, each {@link Granted} as JSON. As objects they are a dozen for each file, and were half of all that is searched for garbage, on the core that answers; they are read again only
   * for an answer that is made anew.
   */
  readonly #granted = new Map<string, Map<Digest, string>>();

  constructor(options: ShareMountSourcesOptions) {
    super();
    this.#options = options;
  }

  of(file: LayerFile, share: string, now: Date, caller?: CallerNetwork): readonly LayerMount[] {
    const { shares, nfsBound } = this.#options;
    const driver = shares.get(share);
    if (driver === undefined) return [];
    const granted = this.#grantedOf(driver, { ...file, share }, now);
    const mounts = nfsBound?.has(share) === true && caller?.shares.has(share) !== true ? granted.filter(({ type }) => type !== 'nfs') : granted;
    const folder = caller?.folders.get(share);
    if (folder === undefined) return mounts;
    return [{ type: 'file', region: driver.region, source: join(folder, layerFilePath(file.digest, file.writerVersion)), options: ['ro'] }, ...mounts];
  }

  /** Shares are what they were when the process began. */
  standing(): number {
    return 0;
  }

  #grantedOf(driver: Pick<Share, 'mountSources'>, { digest, writerVersion, share }: LayerFile & { readonly share: string }, now: Date): readonly LayerMount[] {
    const { grantMs, grantsPerShareMax = GRANTS_PER_SHARE_MAX } = this.#options;
    let remembered = this.#granted.get(share);
    if (remembered === undefined) this.#granted.set(share, (remembered = new Map<Digest, string>()));
    const text = remembered.get(digest);
    if (text !== undefined) {
      const [renewAtMs, ofVersion, known] = JSON.parse(text) as Granted;
      if (ofVersion === writerVersion && now.getTime() < renewAtMs) return known;
    }
    const mounts = driver.mountSources(layerFilePath(digest, writerVersion), new Date(now.getTime() + grantMs)).map(toLayerMount);
    remembered.delete(digest);
    const granted: Granted = [now.getTime() + (grantMs * (1 + spreadOf(digest))) / 4, writerVersion, mounts];
    remembered.set(digest, JSON.stringify(granted));
    if (remembered.size > grantsPerShareMax) remembered.delete(remembered.keys().next().value as Digest);
    return mounts;
  }
}

function toLayerMount(source: MountSource): LayerMount {
  const { type, region, options } = source;
  return { type, region, source: source.source, options, ...(source.expiresAt === undefined ? {} : { expiresAt: source.expiresAt.toISOString() }) };
}
