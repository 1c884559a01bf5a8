import { describe, expect, it } from 'vitest';

import { after } from '#clock';
import { RegionMap } from '#regions';

import { type AnswerContext, type Answered, answerLookup, answerPull, MAP_AGE_MAX_MS, type PullRequest } from './answer-pull.js';
import type { LayerRow, MapRow, MappedReplicaState } from './map-row.js';
import { NearShares } from './near-shares.js';
import { ReplicaMap } from './replica-map.js';
import { rewriteMounts } from './rewrite-mounts.js';
import { digestNamed, expandedRow, imageRow, NamedMountSources, viewedRows } from './testing/index.js';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const REGIONS = new RegionMap(
  ['home', 'east', 'neareast'].map((name) => ({ name, displayName: name })),
  'home',
  [{ from: 'east', to: 'neareast', roundTripMs: 5, throughputBytesPerSecond: 1e7, pricePerGb: 0.02 }],
  { roundTripMs: 90, throughputBytesPerSecond: 1e7, pricePerGb: 0.02 },
);
const NEAR = new NearShares(REGIONS, REGIONS.regions.map(({ name }) => ({ name, region: name })));
const VIEW = 'view of image';
const LAYERS = ['l1', 'l2', 'l1'];
/** The very files that the rows below say. */
const DEVICES = ['l1', 'l2'].map((name) => ({ digest: digestNamed(name), vhd: { digest: digestNamed(`${name}, as a vhd`), sizeBytes: 40_000_000 } }));
const [IMAGE, EXPANDED] = viewedRows('app', 'image', LAYERS);
const replica = (name: string, share: string, state: MappedReplicaState = 'ready'): MapRow => ({ topic: 'replica', layer: digestNamed(name), share, state });
const APP: readonly MapRow[] = [{ topic: 'repository', name: 'app', enabled: true }, IMAGE, EXPANDED, expandedRow('l1'), expandedRow('l2')];
const READY = [...APP, ...['l1', 'l2', VIEW].map((name) => replica(name, 'east'))];

function contextOf(rows: readonly MapRow[], options: Partial<AnswerContext> = {}): AnswerContext {
  const map = new ReplicaMap();
  for (const row of rows) map.put(row);
  map.asOf = NOW;
  return { map, near: NEAR, sources: new NamedMountSources(), now: NOW, ...options };
}

function pull(rows: readonly MapRow[], request: Partial<PullRequest> = {}, options: Partial<AnswerContext> = {}): Answered {
  const outcome = answerPull({ repository: 'app', reference: { kind: 'digest', digest: digestNamed('image') }, region: 'east', ...request }, contextOf(rows, options));
  if (outcome.kind !== 'answer') throw new Error(outcome.kind);
  return outcome;
}

const lookup = (layers: readonly string[], rows = READY): Answered =>
  answerLookup({ repository: 'app', manifest: digestNamed('image'), layers: layers.map(digestNamed), region: 'east' }, contextOf(rows));

describe('the merged view of an image', () => {
  it('is answered with its hash tree, its devices in order and its mounts best first, and held by the lease like a layer', () => {
    const { answer, held } = pull([...READY, replica(VIEW, 'neareast'), replica(VIEW, 'home')]);
    expect(answer.image).toMatchObject({
      digest: digestNamed(VIEW), filesystem: 'erofs', verity: { hashOffset: 39_000_064 }, devices: DEVICES, mounts: [{ region: 'east' }, { region: 'neareast' }],
    });
    expect(held.filter(({ layer }) => layer === digestNamed(VIEW)).map(({ share }) => share)).toEqual(['east', 'neareast']);
    expect(answer.layers.every((layer) => layer.kind === 'mount' && layer.verity?.rootHash.length === 64)).toBe(true);
  });

  it.each<[string, readonly MapRow[]]>([
    ['it is still to be expanded', [...READY, { topic: 'layer', digest: digestNamed(VIEW), state: 'wanted', since: NOW }]],
    ['it was refused', [...READY, { topic: 'layer', digest: digestNamed(VIEW), state: 'refused', refusal: 'VIEW_LAYER_MISSING' }]],
    ['its replica is not ready yet', [...READY, replica(VIEW, 'east', 'copying')]],
    ['its replica drains', [...READY, replica(VIEW, 'east', 'draining')]],
    ['it is ready far away only', [...APP, replica('l1', 'east'), replica('l2', 'east'), replica(VIEW, 'home')]],
    ['one layer is a blob', [...READY, replica('l2', 'east', 'copying')]],
    ['the image needs none', [...READY, imageRow('app', 'image', ['l1'])]],
  ])('is left out, and not held, while %s', (_, rows) => {
    const { answer, held } = pull(rows);
    expect(answer).not.toHaveProperty('image');
    expect(held.map(({ layer }) => layer)).not.toContain(digestNamed(VIEW));
    expect(answer.layers.length).toBeGreaterThan(0);
  });

  it('is left out where no layer may be mounted at all', () => {
    expect(pull(READY, { region: undefined }).answer.image).toBeUndefined();
    expect(pull(READY, { onlyBlobs: 'AUTHORIZATION_UNAVAILABLE' }).answer.image).toBeUndefined();
    expect(pull(READY, {}, { now: after(NOW, MAP_AGE_MAX_MS + 1) }).answer.image).toBeUndefined();
    expect(pull(READY, { transports: ['nfs'] }).answer.image).toBeUndefined();
  });

  it('is answered to a caller that has layers already, since its devices are there then', () => {
    const { answer } = pull(READY, { have: [digestNamed('l1')] });
    expect(answer.layers.map((layer) => layer.kind)).toEqual(['blob', 'mount', 'blob']);
    expect(answer.image?.digest).toBe(digestNamed(VIEW));
    expect(pull(READY, { have: [digestNamed('l1'), digestNamed('l2')] }).answer.image?.digest).toBe(digestNamed(VIEW));
  });

  it.each<[string, MapRow]>([
    ['is not expanded here', { topic: 'layer', digest: digestNamed('l1'), state: 'wanted', since: NOW }],
    ['was refused', { topic: 'layer', digest: digestNamed('l1'), state: 'refused', refusal: 'TAR_INVALID' }],
    ['is a merged view itself', { topic: 'layer', digest: digestNamed('l1'), state: 'expanded', writerVersion: 2, diffId: undefined, vhd: { digest: digestNamed('x'), sizeBytes: 1 } }],
    ['has another diffID than the image says', { ...(expandedRow('l2') as Extract<LayerRow, { state: 'expanded' }>), digest: digestNamed('l1') }],
  ])('is left out, and not held, for a caller that has a layer which %s', (_, row) => {
    for (const have of [['l1'], ['l1', 'l2']]) {
      const { answer, held } = pull([...READY, row], { have: have.map(digestNamed) });
      expect(answer.layers[0]).toMatchObject({ kind: 'blob', reason: 'ALREADY_HELD' });
      expect(answer).not.toHaveProperty('image');
      expect(held.map(({ layer }) => layer)).not.toContain(digestNamed(VIEW));
    }
  });

  it('names the files that its devices are now, also for layers that the caller holds', () => {
    const anew: MapRow = { ...(expandedRow('l1') as Extract<LayerRow, { state: 'expanded' }>), vhd: { digest: digestNamed('made anew'), sizeBytes: 41_000_000 } };
    const { answer } = pull([...READY, anew], { have: [digestNamed('l1')] });
    expect(answer.image?.devices).toEqual([{ digest: digestNamed('l1'), vhd: { digest: digestNamed('made anew'), sizeBytes: 41_000_000 } }, DEVICES[1]]);
  });

  it('is never mounted as a layer of an image that names its digest as one', () => {
    const layers = [{ digest: digestNamed(VIEW), diffId: digestNamed(VIEW), sizeBytes: 1 }];
    const thief: MapRow = { topic: 'image', repository: 'app', digest: digestNamed('image'), content: { kind: 'image', layers } };
    expect(pull([...READY, thief]).answer.layers).toMatchObject([{ kind: 'blob', reason: 'DIFF_ID_MISMATCH' }]);
  });
});

describe('a lookup by layers', () => {
  it('has the merged view when it names exactly the layers of the image', () => {
    expect(lookup(['l1', 'l2', 'l1']).answer.image?.devices).toEqual(DEVICES);
    expect(lookup(['l2', 'l1']).answer.image?.devices).toEqual(DEVICES);
  });

  it('has none when it names fewer, or others besides', () => {
    expect(lookup(['l1']).answer.image).toBeUndefined();
    expect(lookup(['l1', 'l2', 'l3']).answer.image).toBeUndefined();
    expect(lookup([]).answer.image).toBeUndefined();
  });

  it('has that of the image of an index whose layers it names', () => {
    const index: MapRow = { topic: 'image', repository: 'app', digest: digestNamed('index'), content: { kind: 'index', children: [{ digest: digestNamed('image'), platform: { os: 'linux', architecture: 'amd64' } }] } };
    const { answer } = answerLookup({ repository: 'app', manifest: digestNamed('index'), layers: LAYERS.map(digestNamed), region: 'east' }, contextOf([...READY, index]));
    expect(answer.image?.digest).toBe(digestNamed(VIEW));
  });
});

describe('a rewritten response', () => {
  const atHome = pull([...APP, ...['l1', 'l2', VIEW].map((name) => replica(name, 'home'))], { region: 'home' }).answer;

  it('has the merged view with the mounts of the other region', () => {
    const { answer, held } = rewriteMounts({ response: atHome, region: 'east' }, contextOf(READY));
    expect(answer.image?.mounts).toMatchObject([{ region: 'east' }]);
    expect(answer.layers.map((layer) => layer.kind === 'mount' && layer.verity)).toEqual(atHome.layers.map((layer) => layer.kind === 'mount' && layer.verity));
    expect(held.filter(({ layer }) => layer === digestNamed(VIEW))).toHaveLength(1);
  });

  it('keeps it where the caller held some layers before', () => {
    const response = { ...atHome, layers: atHome.layers.map((layer, n) => (n === 1 ? { digest: layer.digest, kind: 'blob' as const, url: '/', reason: 'ALREADY_HELD' as const } : layer)) };
    expect(rewriteMounts({ response, region: 'east' }, contextOf(READY)).answer.image?.mounts).toMatchObject([{ region: 'east' }]);
  });

  it('loses it where a layer that the caller held before is not what the image says', () => {
    const response = { ...atHome, layers: atHome.layers.map(({ digest }) => ({ digest, kind: 'blob' as const, url: '/', reason: 'ALREADY_HELD' as const })) };
    expect(rewriteMounts({ response, region: 'east' }, contextOf(READY)).answer.image?.devices).toEqual(DEVICES);
    const wrong: MapRow = { ...(expandedRow('l2') as Extract<LayerRow, { state: 'expanded' }>), digest: digestNamed('l1') };
    expect(rewriteMounts({ response, region: 'east' }, contextOf([...READY, wrong])).answer).not.toHaveProperty('image');
  });

  it('loses it where it is not near, where a layer is not, where the response had none, and where it names another', () => {
    const rewritten = (rows: readonly MapRow[], response = atHome) => rewriteMounts({ response, region: 'east' }, contextOf(rows)).answer;
    expect(rewritten([...READY, replica(VIEW, 'east', 'draining')])).not.toHaveProperty('image');
    expect(rewritten([...READY, replica('l2', 'east', 'draining')])).not.toHaveProperty('image');
    expect(rewritten(READY, { ...atHome, image: undefined })).not.toHaveProperty('image');
    expect(rewritten(READY, { ...atHome, image: { ...atHome.image!, digest: digestNamed('secret') } })).not.toHaveProperty('image');
  });
});
