import { digestOf } from '#oci';
import { LAYER_FILE_VERSION } from '#shares';

import type { ExpandedLayer } from '../expanded-layer.js';
import type { WantedLayer } from '../expanded-layer-store.js';
import { MERGED_VIEW_MEDIA_TYPE, mergedViewDigest } from '../merged-view-digest.js';

/** A layer named `name` that is wanted from `team/app`. */
export function wantedLayer(name: string, change: Partial<WantedLayer> = {}): WantedLayer {
  return {
    digest: digestOf(name),
    mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
    sizeBytes: 1000,
    repository: 'team/app',
    priority: 1,
    ...change,
  };
}

/** The merged view of an image of these layers, wanted from `team/app`. */
export function wantedView(layers: readonly WantedLayer[], change: Partial<WantedLayer> = {}): WantedLayer {
  const stacks = layers.map((layer) => layer.digest);
  const digest = mergedViewDigest(stacks);
  if (digest === undefined) throw new Error('an image of one layer has no view');
  return { digest, mediaType: MERGED_VIEW_MEDIA_TYPE, sizeBytes: 0, repository: 'team/app', priority: 0, stacks, ...change };
}

/** What an expansion of `layer` may give: two pieces of data around a hole. */
export function expandedForm(layer: WantedLayer): ExpandedLayer {
  return {
    digest: layer.digest,
    diffId: digestOf(`${layer.digest}, uncompressed`),
    writerVersion: LAYER_FILE_VERSION,
    vhd: { digest: digestOf(`${layer.digest}, expanded`), sizeBytes: 3 * 4 * 1024 * 1024 - 512 },
    verity: { rootHash: digestOf(`${layer.digest}, hashed`).slice('sha256:'.length), hashOffset: 2 * 4 * 1024 * 1024 },
    pieceCrc64s: ['u661BimQ84c=', null, 'AAAAAAAAAAA='],
    dataBytes: 2 * 4 * 1024 * 1024 - 512,
    entryCount: 17,
  };
}
