import { beforeEach, describe, expect, it } from 'vitest';

import { VIEW_LAYER_REFUSAL } from '#expansion';
import { expandedForm, MemoryExpandedLayerStore, wantedLayer, wantedView } from '#expansion/testing';
import { MemoryLeaseStore } from '#mounts/testing';
import { type Digest, digestOf } from '#oci';
import { RegionMap } from '#regions';
import type { RecordedImage } from '#registry';
import { MemoryCatalogue, MemoryCatalogueReader, MemoryRepositoryStore } from '#registry/testing';
import { MemoryLinkLedger, MemoryReplicaStore } from '#replication/testing';
import { MemoryShare } from '#shares/testing';

import { ShareSet } from '../foundation/share-set.js';
import { StoredPlacementFacts } from './planning-facts.js';

const NOW = new Date('2026-06-01T12:00:00.000Z');
const TAR = 'application/vnd.oci.image.layer.v1.tar+gzip';
const LIMIT = 100;
const regions = new RegionMap([{ name: 'westeurope', displayName: 'West Europe' }], 'westeurope', [], { roundTripMs: 1, throughputBytesPerSecond: 1, pricePerGb: 0 });

function anImage(name: string, layers: readonly string[], changes: Partial<RecordedImage> = {}): RecordedImage {
  return {
    repository: 'team/app', digest: digestOf(name), kind: 'image', mediaType: 'application/vnd.oci.image.manifest.v1+json', sizeBytes: 400, pushedAt: NOW, children: [],
    layers: layers.map((layer) => ({ digest: digestOf(layer), diffId: digestOf(`tar of ${layer}`), mediaType: TAR, sizeBytes: 1000 })),
    ...changes,
  };
}

describe('the facts that plans are made from', () => {
  let catalogue: MemoryCatalogue;
  let layers: MemoryExpandedLayerStore;
  let facts: StoredPlacementFacts;

  const record = (...images: readonly RecordedImage[]): void => {
    for (const image of images) catalogue.images.set(`${image.repository}@${image.digest}`, image);
  };
  const want = (name: string, mediaType = TAR): Promise<unknown> =>
    layers.want([{ digest: digestOf(name), mediaType, sizeBytes: 1000, repository: 'team/app', priority: 0 }], NOW);
  const names = async (): Promise<unknown> => {
    const { placeable, unfinished } = await facts.images(LIMIT);
    return { placeable: placeable.map(({ digest, tags }) => [digest, tags]), unfinished: unfinished.map(({ digest, tags }) => [digest, tags]) };
  };

  beforeEach(async () => {
    catalogue = new MemoryCatalogue();
    await new MemoryRepositoryStore(catalogue).enable('team/app', NOW);
    layers = new MemoryExpandedLayerStore();
    facts = new StoredPlacementFacts({
      drains: new MemoryReplicaStore().drains,
      catalogue: new MemoryCatalogueReader(catalogue), layers, replicas: new MemoryReplicaStore(), leases: new MemoryLeaseStore(),
      shares: new ShareSet([new MemoryShare({ name: 'westeurope' })], 'westeurope'), regions, unreferencedGraceMs: 0,
      ledger: new MemoryLinkLedger(), limits: { bytesPerLinkDay: 1e12, pushReserveRatio: 0.2 },
    });
  });

  it('tell an image whose layers are not all expanded or refused apart from one that may be placed', async () => {
    record(anImage('refused', ['foreign']), anImage('pending', ['foreign', 'pending']), anImage('unknown', ['unknown']));
    catalogue.tagsOf('team/app').set('v1', digestOf('refused')).set('v2', digestOf('pending'));
    await want('foreign', 'application/octet-stream');
    await want('pending');
    const { placeable, unfinished } = await facts.images(LIMIT);
    expect(placeable).toMatchObject([{ digest: digestOf('refused'), tags: ['v1'], layers: [] }]);
    const byDigest = unfinished.toSorted((a, b) => b.tags.length - a.tags.length);
    expect(byDigest).toMatchObject([{ digest: digestOf('pending'), tags: ['v2'], layers: [digestOf('foreign'), digestOf('pending')] }, { digest: digestOf('unknown'), tags: [] }]);
  });

  it('give an image its merged view once that is expanded, and wait for none', async () => {
    const form = expandedForm(wantedLayer('base'));
    const view = wantedView([wantedLayer('base'), wantedLayer('top')]);
    record(anImage('image', ['base', 'top'], { viewDigest: view.digest }));
    const layersOf = async (): Promise<unknown> => {
      const { placeable, unfinished } = await facts.images(LIMIT);
      return placeable[0] === undefined ? unfinished[0]?.layers : [placeable[0].layers.map(({ digest }) => digest), placeable[0].view];
    };
    const finishOne = async (): Promise<void> => {
      const [claimed] = await layers.claim({ owner: 'w', limit: 1, now: NOW, leaseMs: 60_000 });
      await layers.complete(claimed!.claim.id, { ...form, digest: claimed!.item.digest }, NOW);
    };
    const parts = [digestOf('base'), digestOf('top')];
    await layers.want([wantedLayer('base'), wantedLayer('top'), view], NOW);
    await finishOne();
    expect(await layersOf()).toEqual([...parts, view.digest]);
    await finishOne();
    expect(await layersOf()).toEqual([parts, undefined]);
    await finishOne();
    expect(await layersOf()).toEqual([parts, { digest: view.digest, sizeBytes: form.vhd.sizeBytes }]);
    expect(await facts.referencedLayers(NOW, LIMIT)).toContain(view.digest);
  });

  it('place an image whose merged view is refused', async () => {
    const view = wantedView([wantedLayer('base'), wantedLayer('foreign')]);
    record(anImage('image', ['base', 'foreign'], { viewDigest: view.digest }));
    await layers.want([wantedLayer('foreign', { mediaType: 'application/octet-stream' }), view], NOW);
    const [claimed] = await layers.claim({ owner: 'w', limit: 1, now: NOW, leaseMs: 60_000 });
    await layers.refuse(claimed!.claim.id, { code: VIEW_LAYER_REFUSAL, message: 'a layer is refused' });
    await want('base');
    const [base] = await layers.claim({ owner: 'w', limit: 1, now: NOW, leaseMs: 60_000 });
    await layers.complete(base!.claim.id, expandedForm(base!.item), NOW);
    expect((await facts.images(LIMIT)).placeable).toMatchObject([{ layers: [{ digest: digestOf('base') }], view: undefined }]);
  });

  it('give the tags of an index to its images, and its digest', async () => {
    const child: Digest = digestOf('amd64');
    record(anImage('amd64', []), anImage('index', [], { kind: 'index', children: [{ digest: child, platform: { os: 'linux', architecture: 'amd64' } }] }));
    catalogue.tagsOf('team/app').set('v1', digestOf('index'));
    expect((await facts.images(LIMIT)).placeable).toMatchObject([{ digest: child, tags: ['v1'], indexes: [digestOf('index')] }]);
    expect(await names()).toEqual({ placeable: [[child, ['v1']]], unfinished: [] });
  });

  it('take a tag whose image was recorded after the images were read for one of an unfinished image, not for gone', async () => {
    record(anImage('read', []));
    catalogue.tagsOf('team/app').set('v1', digestOf('recorded meanwhile'));
    expect(await names()).toEqual({ placeable: [[digestOf('read'), []]], unfinished: [[digestOf('recorded meanwhile'), ['v1']]] });
  });

  it('leave out repositories that are not enabled', async () => {
    record(anImage('other', [], { repository: 'team/off' }));
    catalogue.tagsOf('team/off').set('v1', digestOf('other'));
    expect(await names()).toEqual({ placeable: [], unfinished: [] });
  });
});
