import { Injectable } from '@nestjs/common';

import type { ImageInRegionBody, LayerReplicaBody, LayerStatusBody, PlatformStatusBody } from '#contract';
import { ExpandedLayerStore, type LayerRecord } from '#expansion';
import { type Digest, formatPlatform } from '#oci';
import { RegionMap } from '#regions';
import type { RecordedImage } from '#registry';
import { type Replica, ReplicaStore } from '#replication';

import { percentOf } from './admin-api.js';

/** Finds out how far images are, by layer and by region, from the records as they are now. */
@Injectable()
export class ImageStatusReader {
  constructor(
    private readonly layers: ExpandedLayerStore,
    private readonly replicas: ReplicaStore,
    private readonly regions: RegionMap,
  ) {}

  /** The status of each of `images`, in their order: two queries, however many layers and regions there are. */
  async statusOf(images: readonly RecordedImage[]): Promise<PlatformStatusBody[]> {
    const digests = [...new Set(images.flatMap((image) => [...image.layers.map((layer) => layer.digest), ...(image.viewDigest === undefined ? [] : [image.viewDigest])]))];
    const records = new Map((await this.layers.find(digests)).map((record) => [record.digest, record]));
    const replicas = Map.groupBy(await this.replicas.find(digests), (replica) => replica.layer);
    return images.map((image) => {
      const statusOf = (layer: { readonly digest: Digest; readonly sizeBytes: number }): LayerStatusBody =>
        layerStatus(layer, records.get(layer.digest), replicas.get(layer.digest) ?? []);
      const layers = image.layers.map(statusOf);
      return {
        digest: image.digest,
        ...(image.platform === undefined ? {} : { platform: formatPlatform(image.platform) }),
        expandedLayerCount: layers.filter((layer) => layer.state === 'expanded').length,
        layers,
        ...(image.viewDigest === undefined ? {} : { view: statusOf({ digest: image.viewDigest, sizeBytes: 0 }) }),
        regions: this.regions.regions.map(({ name }) => inRegion(name, layers)),
      };
    });
  }
}

function layerStatus({ digest, sizeBytes }: { readonly digest: Digest; readonly sizeBytes: number }, record: LayerRecord | undefined, replicas: readonly Replica[]): LayerStatusBody {
  const state = record?.state ?? 'unknown';
  return {
    digest,
    sizeBytes,
    state,
    percent: state === 'expanded' ? 100 : state === 'expanding' && sizeBytes > 0 ? percentOf(record?.readBytes ?? 0, sizeBytes) : 0,
    ...(record?.expanded === undefined ? {} : { vhd: record.expanded.vhd, ...(record.expanded.verity === undefined ? {} : { verity: record.expanded.verity }) }),
    ...(record?.refusal === undefined ? {} : { refusal: record.refusal }),
    ...(record?.lastError === undefined ? {} : { lastError: record.lastError }),
    replicas: replicas.map(replicaBody),
  };
}

function replicaBody({ share, state, sizeBytes, copiedBytes, reason, lastError }: Replica): LayerReplicaBody {
  const done = state === 'ready' || state === 'draining';
  return { share, region: share, state, copiedBytes, percent: done ? 100 : percentOf(copiedBytes, sizeBytes), reason, ...(lastError === undefined ? {} : { lastError }) };
}

function inRegion(region: string, layers: readonly LayerStatusBody[]): ImageInRegionBody {
  const expandable = layers.filter((layer) => layer.state !== 'refused');
  const reasons = new Set<string>();
  let [readyLayerCount, readyBytes, doneBytes, totalBytes] = [0, 0, 0, 0];
  for (const layer of expandable) {
    const replica = layer.replicas.find((each) => each.region === region);
    const vhdBytes = layer.vhd?.sizeBytes ?? 0;
    totalBytes += vhdBytes;
    if (layer.state === 'expanded' && replica?.state === 'ready') {
      readyLayerCount += 1;
      readyBytes += vhdBytes;
      doneBytes += vhdBytes;
    } else {
      if (replica?.state === 'copying') doneBytes += replica.copiedBytes;
      reasons.add(layer.state === 'expanded' ? `REPLICA_${(replica?.state ?? 'none').toUpperCase()}` : `LAYER_${layer.state.toUpperCase()}`);
    }
  }
  const whole = readyLayerCount === expandable.length && expandable.length > 0;
  return {
    region,
    state: whole ? 'ready' : readyLayerCount > 0 ? 'partial' : 'none',
    readyLayerCount,
    layerCount: expandable.length,
    readyBytes,
    totalBytes,
    percent: totalBytes === 0 ? 0 : percentOf(doneBytes, totalBytes),
    reasons: [...reasons].toSorted(),
  };
}
