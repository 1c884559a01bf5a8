import type { Clock } from '#clock';
import type { ExpandedLayerStore } from '#expansion';
import type { Reference } from '#oci';
import { ExaminedImages, type ExaminedReference } from '#registry';
import type { Logger } from '#telemetry';

import type { WorkSignals } from './work-signals.js';

/** The urgency of expanding what was just pushed, against what a backfill finds. */
const PUSHED_LAYER_PRIORITY = 100;

/** What follows from an examination: the layers of its images are wanted expanded. The planner hears of the rest through the change feed. */
export class WantedLayers extends ExaminedImages {
  constructor(
    private readonly layers: ExpandedLayerStore,
    private readonly signals: WorkSignals,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {
    super();
  }

  async recorded({ repository, reference, image, images }: ExaminedReference): Promise<void> {
    const wanted = images.flatMap((each) => each.layers).map(({ digest, mediaType, sizeBytes }) => ({ digest, mediaType, sizeBytes, repository, priority: PUSHED_LAYER_PRIORITY }));
    const fresh = await this.layers.want(wanted, this.clock.now());
    this.logger.info({ repository, reference, digest: image.digest, layers: wanted.length, newLayers: fresh.size }, 'an image was recorded');
    if (fresh.size > 0) this.signals.layersWanted();
  }

  removed(repository: string, reference: Reference): Promise<void> {
    this.logger.info({ repository, reference }, 'a reference is gone from the registry');
    return Promise.resolve();
  }
}
