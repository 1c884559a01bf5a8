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

  async recorded({ repository, reference, image, images, pushed }: ExaminedReference): Promise<void> {
    const { clock, logger, signals } = this.#surroundings;
    const priority = pushed ? PUSHED_LAYER_PRIORITY : 0;
    const wanted = images.flatMap((each) => each.layers).map(({ digest, mediaType, sizeBytes }) => ({ digest, mediaType, sizeBytes, repository, priority }));
    const views = images.flatMap((each): WantedLayer[] => {
      const digest = viewDigestOf(each);
      const stacks = each.layers.map((layer) => layer.digest);
      return digest === undefined ? [] : [{ digest, mediaType: MERGED_VIEW_MEDIA_TYPE, sizeBytes: 0, repository, priority: priority - 1, stacks }];
    });
    const fresh = await this.#layers.want([...wanted, ...views], clock.now());
    logger.info({ repository, reference, digest: image.digest, layers: wanted.length, views: views.length, newLayers: fresh.size }, 'an image was recorded');
    if (fresh.size > 0) signals.layersWanted();
  }

  removed(repository: string, reference: Reference): Promise<void> {
    this.#surroundings.logger.info({ repository, reference }, 'a reference is gone from the registry');
    return Promise.resolve();
  }
}
