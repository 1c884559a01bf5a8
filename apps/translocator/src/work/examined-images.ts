import { type ExpandedLayerStore, MERGED_VIEW_MEDIA_TYPE, type WantedLayer } from '#expansion';
import type { Reference } from '#oci';
import { ExaminedImages, type ExaminedReference, viewDigestOf } from '#registry';

import type { WorkSurroundings } from './work-surroundings.js';

/** The urgency of expanding what was just pushed; what a backfill finds has none. Merged views come after all layers of their class. */
const PUSHED_LAYER_PRIORITY = 100;

/** What follows from an examination: the layers of its images, and the merged view of each, are wanted expanded. The planner hears of the rest through the change feed. */
export class WantedLayers extends ExaminedImages {
  readonly #surroundings: WorkSurroundings;
  readonly #layers: ExpandedLayerStore;

  constructor(surroundings: WorkSurroundings, layers: ExpandedLayerStore) {
    super();
    this.#surroundings = surroundings;
    this.#layers = layers;
  }

  async found(examined: ExaminedReference): Promise<void> {
    await this.#want(examined);
  }

  /** Wants them again: layers that nothing referenced yet may have been swept away meanwhile. */
  async recorded(examined: ExaminedReference): Promise<void> {
    const { repository, reference, image } = examined;
    const { layers, views } = await this.#want(examined);
    this.#surroundings.logger.info({ repository, reference, digest: image.digest, layers, views }, 'an image was recorded');
  }

  removed(repository: string, reference: Reference): Promise<void> {
    this.#surroundings.logger.info({ repository, reference }, 'a reference is gone from the registry');
    return Promise.resolve();
  }

  async #want({ repository, images, pushed }: ExaminedReference): Promise<{ readonly layers: number; readonly views: number }> {
    const priority = pushed ? PUSHED_LAYER_PRIORITY : 0;
    const wanted = images.flatMap((each) => each.layers).map(({ digest, mediaType, sizeBytes }) => ({ digest, mediaType, sizeBytes, repository, priority }));
    const views = images.flatMap((each): WantedLayer[] => {
      const digest = viewDigestOf(each);
      const stacks = each.layers.map((layer) => layer.digest);
      return digest === undefined ? [] : [{ digest, mediaType: MERGED_VIEW_MEDIA_TYPE, sizeBytes: 0, repository, priority: priority - 1, stacks }];
    });
    const { clock, signals } = this.#surroundings;
    const fresh = await this.#layers.want([...wanted, ...views], clock.now());
    if (fresh.size > 0) signals.layersWanted();
    return { layers: wanted.length, views: views.length };
  }
}
