import { beforeEach, describe, expect, it } from 'vitest';

import { after } from '#clock';
import { mergedViewDigest } from '#expansion';
import { type Digest, digestOf, OCI_INDEX, OCI_MANIFEST, type Reference } from '#oci';

import type { CatalogueReader } from '../catalogue-reader.js';
import type { ExaminationStore } from '../examination-store.js';
import type { Image, ImageKey } from '../image.js';
import { type ImageStore, TAGS_PER_IMAGE_MAX } from '../image-store.js';
import type { BackfillStore, RepositoryStore } from '../repository-store.js';

/** The stores of this room over one set of tables, which are empty before each test. */
export interface RegistryStores {
  readonly repositories: RepositoryStore;
  readonly backfills: BackfillStore;
  readonly images: ImageStore;
  readonly catalogue: CatalogueReader;
  readonly examinations: ExaminationStore;
}

/** An instant from which the suites count. */
export const SUITE_NOW = new Date('2026-03-01T12:00:00.000Z');
const NOW = SUITE_NOW;
const REPOSITORY = 'team/app';
const freely = { now: NOW, claimId: undefined };
const tagged = (tag: string): Reference => ({ kind: 'tag', tag });

/** An image named by a text, with a layer for each of `layers`. */
export function sampleRecord(name: string, layers: readonly string[], extra: Partial<Image> = {}): Image {
  return {
    repository: REPOSITORY,
    digest: digestOf(name),
    kind: 'image',
    mediaType: OCI_MANIFEST,
    sizeBytes: 500,
    platform: { os: 'linux', architecture: 'amd64' },
    layers: layers.map((layer) => ({
      digest: digestOf(layer),
      diffId: digestOf(`${layer}/tar`),
      mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
      sizeBytes: 5e9,
    })),
    children: [],
    ...extra,
  };
}

/** An index over images. */
export function sampleIndex(name: string, children: readonly Image[]): Image {
  return {
    repository: REPOSITORY,
    digest: digestOf(name),
    kind: 'index',
    mediaType: OCI_INDEX,
    sizeBytes: 300,
    layers: [],
    children: children.map(({ digest, platform }) => ({ digest, platform: platform ?? { os: 'linux', architecture: 'arm64', variant: 'v8' } })),
  };
}

/** Checks that an implementation keeps the contracts of {@link ImageStore}, {@link RepositoryStore} and {@link CatalogueReader}. */
export function catalogueConformance(name: string, stores: () => RegistryStores): void {
  describe(`${name} keeps the contract of the catalogue`, () => {
    let at: RegistryStores;
    beforeEach(() => {
      at = stores();
    });
    describe('repositories', () => repositoriesConform(() => at));
    describe('images', () => imagesConform(() => at));
    describe('questions', () => questionsConform(() => at));
    describe('readers', () => readersConform(() => at));
  });
}

function repositoriesConform(at: () => RegistryStores): void {
  it('are unknown until somebody enables them, and then want a backfill', async () => {
    const { repositories } = at();
    expect(await repositories.get(REPOSITORY)).toBeUndefined();
    expect(await repositories.disable(REPOSITORY, NOW)).toBeUndefined();
    const backfill = { state: 'waiting', totalCount: 0, doneCount: 0 };
    expect(await repositories.enable(REPOSITORY, NOW)).toEqual({ name: REPOSITORY, enabled: true, changedAt: NOW, backfill });
    expect(await repositories.enable(REPOSITORY, after(NOW, 1000))).toMatchObject({ changedAt: NOW });
  });

  it('end their backfill when they are disabled, and begin again when they are enabled', async () => {
    const { repositories } = at();
    await repositories.enable(REPOSITORY, NOW);
    expect(await repositories.disable(REPOSITORY, after(NOW, 1))).toMatchObject({ enabled: false, changedAt: after(NOW, 1), backfill: { state: 'none' } });
    expect(await repositories.enable(REPOSITORY, after(NOW, 2))).toMatchObject({ enabled: true, changedAt: after(NOW, 2), backfill: { state: 'waiting' } });
  });

  it('are listed by name, page by page', async () => {
    const { repositories } = at();
    for (const name of ['b', 'a/z', 'a', 'a-b', 'a0']) await repositories.enable(name, NOW);
    const first = await repositories.list({ limit: 3 });
    const rest = await repositories.list({ after: first.at(-1)?.name ?? '', limit: 3 });
    expect([...first, ...rest].map(({ name }) => name)).toEqual(['a', 'a-b', 'a/z', 'a0', 'b']);
  });
}

function imagesConform(at: () => RegistryStores): void {
  const one = sampleRecord('one', ['base', 'top']);

  it('are found by tag and by digest with everything that was recorded', async () => {
    const image = { ...one, createdAt: new Date('2025-01-01T00:00:00Z'), platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } };
    expect(await at().images.record({ repository: REPOSITORY, image, children: [], tag: 'v1' }, freely)).toBe(true);
    const recorded = { ...image, viewDigest: mergedViewDigest([digestOf('base'), digestOf('top')]), pushedAt: image.createdAt };
    const resolved = { image: { ...recorded, tags: ['v1'] }, images: [recorded] };
    expect(await at().images.resolve(REPOSITORY, tagged('v1'))).toEqual(resolved);
    expect(await at().images.resolve(REPOSITORY, { kind: 'digest', digest: image.digest })).toEqual(resolved);
    expect(await at().images.resolve('team/other', tagged('v1'))).toBeUndefined();
    expect(await at().images.resolve(REPOSITORY, tagged('v2'))).toBeUndefined();
  });

  it('recorded twice are the same, and their push only moves forward', async () => {
    const pushed = async (pushedAt: Date): Promise<Date | undefined> => {
      await at().images.record({ repository: REPOSITORY, image: one, children: [], tag: 'v1', pushedAt }, freely);
      return (await at().images.resolve(REPOSITORY, tagged('v1')))?.image.pushedAt;
    };
    expect(await pushed(after(NOW, -2000))).toEqual(after(NOW, -2000));
    expect(await pushed(after(NOW, -3000))).toEqual(after(NOW, -2000));
    expect(await pushed(after(NOW, -1000))).toEqual(after(NOW, -1000));
    expect(await pushed(after(NOW, 9000))).toEqual(NOW);
    expect(await at().images.list(REPOSITORY, { limit: 10 })).toMatchObject([{ digest: one.digest, tags: ['v1'], layers: one.layers }]);
  });

  it('stay when their tag moves, and when it is removed', async () => {
    const two = sampleRecord('two', ['base']);
    await at().images.record({ repository: REPOSITORY, image: one, children: [], tag: 'v1' }, freely);
    await at().images.record({ repository: REPOSITORY, image: two, children: [], tag: 'v1' }, freely);
    expect((await at().images.resolve(REPOSITORY, tagged('v1')))?.image.digest).toBe(two.digest);
    expect(await at().images.removeTag(REPOSITORY, 'v1', freely)).toBe(true);
    expect(await at().images.removeTag(REPOSITORY, 'v1', freely)).toBe(true);
    expect(await at().images.resolve(REPOSITORY, tagged('v1'))).toBeUndefined();
    expect((await at().images.list(REPOSITORY, { limit: 10 })).map(({ digest }) => digest).toSorted()).toEqual([one.digest, two.digest].toSorted());
  });

  it('are told with the tags that point to them now, the first thousand', async () => {
    const write = (name: string): Promise<boolean> => at().images.record({ repository: REPOSITORY, image: one, children: [], tag: name }, freely);
    await at().images.record({ repository: REPOSITORY, image: one, children: [] }, freely);
    const tags = async (): Promise<readonly string[] | undefined> => (await at().images.resolve(REPOSITORY, { kind: 'digest', digest: one.digest }))?.image.tags;
    expect(await tags()).toEqual([]);
    const names = Array.from({ length: TAGS_PER_IMAGE_MAX + 1 }, (_, n) => `v${String(n).padStart(4, '0')}`);
    for (const name of names.toReversed()) await write(name);
    expect(await tags()).toEqual(names.slice(0, -1));
    expect((await at().images.resolve(REPOSITORY, tagged('v1000')))?.image.tags).toEqual(names.slice(0, -1));
    expect((await at().images.list(REPOSITORY, { limit: 1 }))[0]?.tags).toEqual(names.slice(0, -1));
    await at().images.record({ repository: REPOSITORY, image: sampleRecord('two', ['base']), children: [], tag: 'v0000' }, freely);
    expect(await tags()).toEqual(names.slice(1));
  });

  it('of an index are resolved with it in its order, as far as they are recorded', async () => {
    const arm = sampleRecord('arm', ['arm layer'], { platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } });
    const index = sampleIndex('index', [arm, one, sampleRecord('absent', [])]);
    await at().images.record({ repository: REPOSITORY, image: index, children: [one, arm], tag: 'v1' }, freely);
    const resolved = await at().images.resolve(REPOSITORY, tagged('v1'));
    expect(resolved?.image).toMatchObject({ kind: 'index', children: index.children });
    expect(resolved?.images.map(({ digest }) => digest)).toEqual([arm.digest, one.digest]);
    // Another platform policy chooses other children of the same index.
    await at().images.record({ repository: REPOSITORY, image: { ...index, children: index.children.slice(1, 2) }, children: [one] }, freely);
    expect((await at().images.resolve(REPOSITORY, tagged('v1')))?.images.map(({ digest }) => digest)).toEqual([one.digest]);
  });

  it('go with their layers and tags, while an index keeps its children', async () => {
    const index = sampleIndex('index', [one]);
    await at().images.record({ repository: REPOSITORY, image: index, children: [one], tag: 'v1' }, freely);
    await at().images.record({ repository: REPOSITORY, image: one, children: [], tag: 'single' }, freely);
    expect(await at().images.removeImage(index, freely)).toBe(true);
    expect(await at().images.resolve(REPOSITORY, tagged('v1'))).toBeUndefined();
    expect(await at().images.tags(REPOSITORY, { limit: 10 })).toEqual([{ repository: REPOSITORY, tag: 'single', digest: one.digest }]);
    expect(await at().images.removeImage(one, freely)).toBe(true);
    expect(await at().images.removeImage(one, freely)).toBe(true);
    expect(await at().images.list(REPOSITORY, { limit: 10 })).toEqual([]);
    expect(await at().images.imagesByLayer(digestOf('base'), { limit: 10 })).toEqual([]);
  });

  it('are not written under a claim that is lost', async () => {
    const lost = { now: NOW, claimId: '00000000-0000-4000-8000-000000000000' };
    expect(await at().images.record({ repository: REPOSITORY, image: one, children: [], tag: 'v1' }, lost)).toBe(false);
    expect(await at().images.resolve(REPOSITORY, tagged('v1'))).toBeUndefined();
    await at().images.record({ repository: REPOSITORY, image: one, children: [], tag: 'v1' }, freely);
    expect(await at().images.removeTag(REPOSITORY, 'v1', lost)).toBe(false);
    expect(await at().images.removeImage(one, lost)).toBe(false);
    expect(await at().images.resolve(REPOSITORY, tagged('v1'))).toBeDefined();
  });
}

function questionsConform(at: () => RegistryStores): void {
  it('about images of a repository are answered newest first, page by page', async () => {
    const names = ['a', 'b', 'c', 'd', 'e'];
    for (const [place, name] of names.entries()) {
      const pushedAt = after(NOW, -1000 * Math.floor(place / 2));
      await at().images.record({ repository: REPOSITORY, image: sampleRecord(name, []), children: [], pushedAt }, freely);
    }
    const all = await at().images.list(REPOSITORY, { limit: 10 });
    expect(all.map(({ pushedAt }) => NOW.getTime() - pushedAt.getTime())).toEqual([0, 0, 1000, 1000, 2000]);
    const paged: Digest[] = [];
    for (let page = await at().images.list(REPOSITORY, { limit: 2 }); page.length > 0; ) {
      paged.push(...page.map(({ digest }) => digest));
      const last = page.at(-1);
      page = last === undefined ? [] : await at().images.list(REPOSITORY, { after: last, limit: 2 });
    }
    expect(paged).toEqual(all.map(({ digest }) => digest));
  });

  it('about layers name the images that have them, in any repository', async () => {
    const keys: ImageKey[] = [];
    for (const repository of ['a', 'b']) {
      const image = sampleRecord('one', ['base', 'base'], { repository });
      await at().images.record({ repository, image, children: [] }, freely);
      keys.push({ repository, digest: image.digest });
    }
    expect(await at().images.imagesByLayer(digestOf('base'), { limit: 10 })).toEqual(keys);
    expect(await at().images.imagesByLayer(digestOf('base'), { after: keys[0] as ImageKey, limit: 10 })).toEqual(keys.slice(1));
  });

  it('about references count images of enabled repositories, tagged or not', async () => {
    const layers = ['base', 'top', 'nothing'].map(digestOf);
    await at().images.record({ repository: REPOSITORY, image: sampleRecord('one', ['base']), children: [] }, freely);
    expect(await at().images.referencedLayers(layers)).toEqual(new Set());
    await at().repositories.enable(REPOSITORY, NOW);
    expect(await at().images.referencedLayers(layers)).toEqual(new Set([digestOf('base')]));
    await at().repositories.disable(REPOSITORY, NOW);
    expect(await at().images.referencedLayers(layers)).toEqual(new Set());
    expect(await at().images.referencedLayers([])).toEqual(new Set());
  });

  it('about references count the merged view of an image with its layers, for as long as the image is recorded', async () => {
    const one = sampleRecord('one', ['base', 'top']);
    const view = mergedViewDigest(one.layers.map((layer) => layer.digest)) as Digest;
    await at().images.record({ repository: REPOSITORY, image: one, children: [] }, freely);
    expect(await at().images.referencedLayers([view])).toEqual(new Set());
    await at().repositories.enable(REPOSITORY, NOW);
    expect(await at().images.referencedLayers([view, digestOf('nothing')])).toEqual(new Set([view]));
    expect((await at().catalogue.imagesByKey([one]))[0]?.viewDigest).toBe(view);
    await at().images.removeImage(one, freely);
    expect(await at().images.referencedLayers([view])).toEqual(new Set());
  });
}

function readersConform(at: () => RegistryStores): void {
  it('give single keys and whole tables, and leave out what is not there', async () => {
    const { images, repositories, catalogue } = at();
    await repositories.enable('a', NOW);
    await repositories.enable('b', NOW);
    await repositories.disable('b', NOW);
    const made = ['a', 'b'].flatMap((repository) => ['x', 'y'].map((name) => sampleRecord(name, ['base'], { repository })));
    for (const image of made) await images.record({ repository: image.repository, image, children: [], tag: image.digest.slice(7, 12) }, freely);
    expect(await catalogue.repositoriesByName(['b', 'nobody'])).toEqual([{ name: 'b', enabled: false }]);
    const tag = { repository: 'a', tag: digestOf('x').slice(7, 12) };
    expect(await catalogue.tagsByKey([tag, { repository: 'c', tag: 'v1' }])).toEqual([{ ...tag, digest: digestOf('x') }]);
    expect(await catalogue.imagesByKey([{ repository: 'a', digest: digestOf('x') }, { repository: 'c', digest: digestOf('x') }])).toMatchObject([
      { repository: 'a', digest: digestOf('x'), layers: [{ digest: digestOf('base') }] },
    ]);
    expect(await catalogue.repositoriesAfter(undefined, 10)).toHaveLength(2);
    expect(await catalogue.repositoriesAfter('a', 10)).toEqual([{ name: 'b', enabled: false }]);
    const tags = await catalogue.tagsAfter(undefined, 3);
    expect([...tags, ...(await catalogue.tagsAfter(tags.at(-1), 3))]).toHaveLength(4);
    const page = await catalogue.imagesAfter(undefined, 3);
    const rest = await catalogue.imagesAfter(page.at(-1), 3);
    const named = (keys: readonly ImageKey[]): string[] => keys.map(({ repository, digest }) => `${repository} ${digest}`);
    expect(named([...page, ...rest])).toEqual(named(made).toSorted());
    const contents = [...(await catalogue.contentsAfter(undefined, 3)), ...(await catalogue.contentsAfter(page.at(-1), 3))];
    expect(named(contents)).toEqual(named([...page, ...rest]));
    expect([...page, ...rest]).toMatchObject(contents);
    const placeable = [...(await catalogue.imagesForPlacement(undefined, 3)), ...(await catalogue.imagesForPlacement(page.at(-1), 3))];
    expect(placeable).toEqual([...page, ...rest].map(({ repository, digest, kind, pushedAt, viewDigest, layers, children }) => ({
      repository, digest, kind, pushedAt, ...(viewDigest === undefined ? {} : { viewDigest }), layers: layers.map((layer) => layer.digest), children: children.map((child) => child.digest),
    })));
    expect(contents.map(({ layers, children, viewDigest }) => [layers.length, children.length, viewDigest])).toEqual([...page, ...rest].map(({ layers, children, viewDigest }) => [layers.length, children.length, viewDigest]));
  });

  it('tell which repositories have a layer or a merged view', async () => {
    const { images, catalogue } = at();
    const of = (repository: string, ...layers: string[]) => sampleRecord(layers.join(), layers, { repository });
    for (const image of [of('b', 'base', 'top'), of('a', 'base'), of('a', 'base', 'other'), of('c', 'own')]) await images.record({ repository: image.repository, image, children: [] }, freely);
    expect(await catalogue.repositoriesOfLayers([digestOf('base'), digestOf('nobody')], 10)).toEqual(['a', 'b']);
    expect(await catalogue.repositoriesOfLayers([digestOf('base'), digestOf('own')], 2)).toEqual(['a', 'b']);
    expect(await catalogue.repositoriesOfLayers([mergedViewDigest([digestOf('base'), digestOf('top')])!], 10)).toEqual(['b']);
    expect(await catalogue.repositoriesOfLayers([digestOf('nobody')], 10)).toEqual([]);
  });
}
