import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { after } from '#clock';
import type { Digest } from '#oci';
import { RegionMap } from '#regions';

import { type AnswerContext, answerLookup, answerPull, EXPANDING_ANSWER_MAX_MS, type LookupRequest, MAP_AGE_MAX_MS, type PullRequest } from './answer-pull.js';
import { CallerNetworks } from './caller-networks.js';
import { type MapRow, REPLICA_STATES } from './map-row.js';
import { parseTransports, PULL_REASONS, TRANSPORTS } from './mount-answer.js';
import { NearShares } from './near-shares.js';
import { ReplicaMap } from './replica-map.js';
import { rewriteMounts } from './rewrite-mounts.js';
import { diffIdNamed, digestNamed, expandedRow, imageRow, NamedMountSources } from './testing/index.js';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const link = (from: string, to: string, roundTripMs: number) => ({ from, to, roundTripMs, throughputBytesPerSecond: 10_000_000, pricePerGb: 0.02 });
const REGIONS = new RegionMap(
  ['home', 'east', 'neareast', 'far'].map((name) => ({ name, displayName: name })),
  'home',
  [link('east', 'neareast', 5), link('neareast', 'east', 12)],
  { roundTripMs: 90, throughputBytesPerSecond: 10_000_000, pricePerGb: 0.02 },
);
const NEAR = new NearShares(REGIONS, REGIONS.regions.map(({ name }) => ({ name, region: name })));

function contextOf(rows: readonly MapRow[], options: Partial<AnswerContext> = {}): AnswerContext {
  const map = new ReplicaMap();
  for (const row of rows) map.put(row);
  map.asOf = NOW;
  return { map, near: NEAR, sources: new NamedMountSources(), now: NOW, ...options };
}

const enabled = (name: string): MapRow => ({ topic: 'repository', name, enabled: true });
const replica = (layer: string, share: string, state: (typeof REPLICA_STATES)[number] = 'ready'): MapRow =>
  ({ topic: 'replica', layer: digestNamed(layer), share, state });
const APP = [enabled('app'), imageRow('app', 'image', ['l1']), expandedRow('l1')];
const pull = (extra: Partial<PullRequest> = {}): PullRequest =>
  ({ repository: 'app', reference: { kind: 'digest', digest: digestNamed('image') }, region: 'east', ...extra });

/** What is answered for the only layer: where its mounts are, or why it is a blob. */
function onlyLayer(rows: readonly MapRow[], request: Partial<PullRequest> = {}, options: Partial<AnswerContext> = {}): unknown {
  const outcome = answerPull(pull(request), contextOf(rows, options));
  if (outcome.kind !== 'answer') return outcome.kind;
  const [layer] = outcome.answer.layers;
  return layer?.kind === 'mount' ? layer.mounts.map((mount) => `${mount.type} ${mount.region}`) : layer?.reason;
}

describe('answerPull', () => {
  it('gives the replica of the own region first, then those that are near, and none that is far', () => {
    expect(onlyLayer([...APP, replica('l1', 'far'), replica('l1', 'neareast'), replica('l1', 'east'), replica('l1', 'home')])).toEqual(['smb east', 'smb neareast']);
    expect(onlyLayer([...APP, replica('l1', 'far'), replica('l1', 'home')])).toBe('REPLICA_NONE');
  });

  it('gives a far replica only where that is allowed, none is near, and it beats the blob', () => {
    const near = new NearShares(REGIONS, REGIONS.regions.map(({ name }) => ({ name, region: name })), undefined, true);
    // Over 90 ms and 10 MB/s a mount gives its first byte after 1.1 s, the blob after 0.45 s and a second for each 10 MB.
    const ofSize = (sizeBytes: number): MapRow =>
      ({ topic: 'image', repository: 'app', digest: digestNamed('image'), content: { kind: 'image', layers: [{ digest: digestNamed('l1'), diffId: diffIdNamed('l1'), sizeBytes }] } });
    const rows = [...APP, replica('l1', 'far')];
    expect(onlyLayer([...rows, ofSize(50_000_000)], {}, { near })).toEqual(['smb far']);
    expect(onlyLayer([...rows, ofSize(1_000_000)], {}, { near })).toBe('REPLICA_NONE');
    expect(onlyLayer([...rows, ofSize(50_000_000)])).toBe('REPLICA_NONE');
    expect(onlyLayer([...rows, ofSize(50_000_000), replica('l1', 'east')], {}, { near })).toEqual(['smb east']);
    expect(onlyLayer([...rows, ofSize(50_000_000), replica('l1', 'east', 'copying')], {}, { near })).toEqual(['smb far']);
    expect(onlyLayer([...rows, ofSize(50_000_000), replica('l1', 'far', 'draining')], {}, { near })).toBe('REPLICA_NONE');
    expect(onlyLayer([...rows, ofSize(50_000_000)], { region: 'atlantis' }, { near })).toBe('REGION_UNKNOWN');
  });

  it('gives what the caller’s host has mounted before what is in its network, that before its region, and says nothing of other addresses', () => {
    const networks = new CallerNetworks([
      { share: 'far', networks: ['10.4.0.0/16'], folders: [] },
      { share: 'neareast', networks: [], folders: [{ path: '/mnt', networks: ['10.4.7.0/24'] }] },
    ]);
    const rows = [...APP, replica('l1', 'far'), replica('l1', 'neareast'), replica('l1', 'east')];
    const from = (address: string | undefined, request: Partial<PullRequest> = {}): unknown => onlyLayer(rows, { ...request, address }, { networks });
    expect(from('10.4.7.1')).toEqual(['smb neareast', 'smb far', 'smb east']);
    expect(from('10.4.1.1')).toEqual(['smb far', 'smb east', 'smb neareast']);
    expect(from('10.9.1.1')).toEqual(['smb east', 'smb neareast']);
    expect(from(undefined)).toEqual(['smb east', 'smb neareast']);
    expect(from('10.4.7.1', { region: 'atlantis' })).toBe('REGION_UNKNOWN');
  });

  it('takes distance as seen from the caller', () => {
    expect(onlyLayer([...APP, replica('l1', 'east')], { region: 'neareast' })).toBe('REPLICA_NONE');
  });

  it('says of a layer without a mount what is nearest to one', () => {
    expect(onlyLayer([...APP, replica('l1', 'east', 'wanted')])).toBe('REPLICA_WANTED');
    expect(onlyLayer([...APP, replica('l1', 'east', 'draining'), replica('l1', 'neareast', 'copying')])).toBe('REPLICA_COPYING');
    expect(onlyLayer([...APP, replica('l1', 'east', 'draining')])).toBe('REPLICA_DRAINING');
    expect(onlyLayer([...APP, { topic: 'layer', digest: digestNamed('l1'), state: 'refused', refusal: 'too large' }])).toBe('LAYER_REFUSED');
    expect(onlyLayer([enabled('app'), imageRow('app', 'image', ['l1'])])).toBe('LAYER_UNKNOWN');
  });

  it('does not mount a ready replica of a layer whose expansion was begun anew', () => {
    const again: MapRow = { topic: 'layer', digest: digestNamed('l1'), state: 'wanted', since: NOW };
    const rows = [...APP, imageRow('app', 'image', ['l1', 'l2']), expandedRow('l2'), replica('l1', 'east'), again];
    expect(onlyLayer(rows)).toBe('LAYER_WANTED');
  });

  it('does not mount a layer for an image that gives it another diffID', () => {
    const layers = [{ digest: digestNamed('l1'), diffId: diffIdNamed('another'), sizeBytes: 1 }];
    const lie: MapRow = { topic: 'image', repository: 'app', digest: digestNamed('image'), content: { kind: 'image', layers } };
    expect(onlyLayer([...APP, replica('l1', 'east'), lie])).toBe('DIFF_ID_MISMATCH');
  });

  it('filters by transport and says when none is left', () => {
    const sources = new NamedMountSources(['smb', 'https']);
    const rows = [...APP, replica('l1', 'east')];
    expect(onlyLayer(rows, { transports: ['https'] }, { sources })).toEqual(['https east']);
    expect(onlyLayer(rows, { transports: ['nfs'] }, { sources })).toBe('TRANSPORT_UNAVAILABLE');
    expect(onlyLayer(rows, { transports: [] }, { sources })).toBe('TRANSPORT_UNAVAILABLE');
  });

  it('goes on to the next share when one cannot be asked, and to the blob when none can', () => {
    const sources = new NamedMountSources();
    sources.failing.add('east');
    expect(onlyLayer([...APP, replica('l1', 'east'), replica('l1', 'neareast')], {}, { sources })).toEqual(['smb neareast']);
    expect(onlyLayer([...APP, replica('l1', 'east'), replica('l1', 'neareast', 'copying')], {}, { sources })).toBe('SHARE_UNAVAILABLE');
  });

  it('answers blobs past the age that the map may have, and also when the caller could not be checked', () => {
    const rows = [...APP, replica('l1', 'east')];
    expect(onlyLayer(rows, {}, { now: after(NOW, MAP_AGE_MAX_MS) })).toEqual(['smb east']);
    expect(onlyLayer(rows, {}, { now: after(NOW, MAP_AGE_MAX_MS + 1) })).toBe('MAP_STALE');
    expect(onlyLayer(rows, { onlyBlobs: 'AUTHORIZATION_UNAVAILABLE' })).toBe('AUTHORIZATION_UNAVAILABLE');
  });

  it('answers a layer that the caller has without a mount and without a lease on it', () => {
    const outcome = answerPull(pull({ have: [digestNamed('l1')] }), contextOf([...APP, replica('l1', 'east')]));
    expect(outcome).toMatchObject({ kind: 'answer', held: [], answer: { layers: [{ reason: 'ALREADY_HELD' }] } });
  });

  it.each([undefined, 'atlantis', 'EAST', '', '__proto__'])('answers blobs to a caller in region %j', (region) => {
    const outcome = answerPull(pull({ region }), contextOf([...APP, replica('l1', 'east')]));
    expect(outcome).toMatchObject({ kind: 'answer', answer: { region: null, layers: [{ reason: 'REGION_UNKNOWN' }] } });
  });

  it('estimates when a copy under way arrives', () => {
    const outcome = answerPull(pull(), contextOf([...APP, replica('l1', 'east', 'copying')]));
    // 40 MB at 10 MB/s.
    expect(outcome).toMatchObject({ answer: { layers: [{ reason: 'REPLICA_COPYING', expectedAt: after(NOW, 4000).toISOString() }] } });
  });

  it('chooses the image of the platform from an index', () => {
    const child = (name: string, architecture: string) => ({ digest: digestNamed(name), platform: { os: 'linux', architecture } });
    const children = [child('for arm64', 'arm64'), child('for amd64', 'amd64'), child('not recorded', 's390x')];
    const rows: MapRow[] = [
      enabled('app'), imageRow('app', 'for amd64', ['l1']), imageRow('app', 'for arm64', ['l2']), expandedRow('l1'), expandedRow('l2'),
      { topic: 'image', repository: 'app', digest: digestNamed('index'), content: { kind: 'index', children } },
      { topic: 'tag', repository: 'app', tag: 'v1', digest: digestNamed('index') },
    ];
    const chosen = (architecture?: string, variant?: string) => {
      const platform = architecture === undefined ? undefined : { os: 'linux', architecture, ...(variant === undefined ? {} : { variant }) };
      const outcome = answerPull({ repository: 'app', reference: { kind: 'tag', tag: 'v1' }, platform }, contextOf(rows));
      return outcome.kind === 'answer' ? outcome.answer.digest : outcome.kind;
    };
    expect(chosen()).toBe(digestNamed('for amd64'));
    expect(chosen('arm64', 'v8')).toBe(digestNamed('for arm64'));
    expect(chosen('s390x')).toBe('image-unknown');
    expect(chosen('riscv64')).toBe('image-unknown');
  });

  it('says expanding only while nothing of the image is expanded and something is under way', () => {
    const image = [enabled('app'), imageRow('app', 'image', ['l1', 'l2'])];
    const state = (layer: string, as: 'wanted' | 'expanding'): MapRow => ({ topic: 'layer', digest: digestNamed(layer), state: as, since: NOW });
    expect(answerPull(pull(), contextOf([...image, state('l1', 'expanding'), state('l2', 'wanted')]))).toMatchObject({
      kind: 'expanding', retryAfterMs: 1000, progress: { layerCount: 2, wantedCount: 1, expandingCount: 1, sizeBytes: 20_000_000, doneBytes: 0 },
    });
    expect(answerPull(pull(), contextOf([...image, state('l1', 'expanding'), expandedRow('l2')])).kind).toBe('answer');
    expect(answerPull(pull(), contextOf(image)).kind).toBe('answer');
    expect(answerPull(pull(), contextOf([...image, state('l1', 'expanding')], { now: after(NOW, MAP_AGE_MAX_MS + 1) })).kind).toBe('answer');
  });

  describe('while nothing of the image is expanded', () => {
    const wanted = (layer: string, since: Date, state: 'wanted' | 'expanding' = 'wanted'): MapRow => ({ topic: 'layer', digest: digestNamed(layer), state, since });
    const image = [enabled('app'), imageRow('app', 'image', ['l1', 'l2'])];
    const reasons = (request: Partial<PullRequest>, rows: readonly MapRow[]): unknown => {
      const outcome = answerPull(pull(request), contextOf([...image, ...rows]));
      return outcome.kind === 'answer' ? outcome.answer.layers.map((layer) => layer.kind === 'blob' && layer.reason) : outcome.kind;
    };
    const young = [wanted('l1', after(NOW, 1 - EXPANDING_ANSWER_MAX_MS)), wanted('l2', NOW, 'expanding')];

    it('has callers wait no longer than the bound after the first of the layers was wanted', () => {
      expect(reasons({}, young)).toBe('expanding');
      expect(reasons({}, [wanted('l1', after(NOW, -EXPANDING_ANSWER_MAX_MS)), wanted('l2', NOW, 'expanding')])).toEqual(['LAYER_WANTED', 'LAYER_EXPANDING']);
    });

    it('has a caller without a region wait, and gives one in an unknown region its blobs', () => {
      expect(reasons({ region: undefined }, young)).toBe('expanding');
      expect(reasons({ region: 'atlantis' }, young)).toEqual(['REGION_UNKNOWN', 'REGION_UNKNOWN']);
    });

    it('gives a caller that can mount by nothing its blobs', () => {
      expect(reasons({ transports: [] }, young)).toEqual(['LAYER_WANTED', 'LAYER_EXPANDING']);
    });

    it('does not count the age of refused layers', () => {
      expect(reasons({}, [{ topic: 'layer', digest: digestNamed('l1'), state: 'refused', refusal: 'too large' }, wanted('l2', NOW)])).toBe('expanding');
    });
  });

  it('says what it does not know before it says anything of layers', () => {
    const reference = { kind: 'tag', tag: 'latest' } as const;
    expect(answerPull(pull({ repository: 'other' }), contextOf(APP)).kind).toBe('repository-unknown');
    expect(answerPull(pull(), contextOf([...APP, { topic: 'repository', name: 'app', enabled: false }])).kind).toBe('repository-disabled');
    expect(answerPull(pull({ reference }), contextOf(APP)).kind).toBe('image-unknown');
    expect(answerPull(pull(), { ...contextOf(APP), map: new ReplicaMap() }).kind).toBe('map-not-loaded');
  });
});

describe('parseTransports', () => {
  it('reads the names it knows and passes over the others', () => {
    expect(parseTransports('HTTPS, nbd,smb')).toEqual(['smb', 'https']);
    expect(parseTransports('')).toEqual([]);
    expect(parseTransports(undefined)).toBeUndefined();
  });
});

describe('answerLookup', () => {
  const lookup = (extra: Partial<LookupRequest> = {}): LookupRequest =>
    ({ repository: 'app', manifest: digestNamed('image'), layers: [digestNamed('l1')], region: 'east', ...extra });
  const reasons = (request: LookupRequest, rows: readonly MapRow[]) =>
    answerLookup(request, contextOf(rows)).answer.layers.map((layer) => (layer.kind === 'mount' ? 'mount' : layer.reason));
  const TWO_TENANTS = [
    ...APP, enabled('other'), imageRow('other', 'other image', ['secret']), expandedRow('secret'), replica('secret', 'east'), replica('l1', 'east'),
  ];

  it('answers the layers in the order of the request, repeated ones as often as they are named', () => {
    expect(reasons(lookup({ layers: ['l1', 'secret', 'l1'].map(digestNamed) }), TWO_TENANTS)).toEqual(['mount', 'LAYER_NOT_IN_IMAGE', 'mount']);
  });

  it("does not give away another repository's layer or manifest to whoever knows its digest", () => {
    expect(reasons(lookup({ layers: [digestNamed('secret')] }), TWO_TENANTS)).toEqual(['LAYER_NOT_IN_IMAGE']);
    expect(reasons(lookup({ manifest: digestNamed('other image'), layers: [digestNamed('secret')] }), TWO_TENANTS)).toEqual(['IMAGE_UNKNOWN']);
  });

  it('answers blobs for whatever it does not know', () => {
    expect(reasons(lookup({ repository: 'nowhere' }), TWO_TENANTS)).toEqual(['REPOSITORY_UNKNOWN']);
    expect(reasons(lookup(), [...TWO_TENANTS, { topic: 'repository', name: 'app', enabled: false }])).toEqual(['REPOSITORY_DISABLED']);
    const empty = { ...contextOf([]), map: new ReplicaMap() };
    expect(answerLookup(lookup(), empty).answer).toMatchObject({ asOf: null, layers: [{ reason: 'MAP_STALE' }] });
  });
});

describe('rewriteMounts', () => {
  const rows = [
    enabled('app'), imageRow('app', 'image', ['l1', 'l2', 'l3']), expandedRow('l1'), expandedRow('l2'), expandedRow('l3'),
    ...['l1', 'l2'].map((layer) => replica(layer, 'home')), replica('l1', 'east'),
  ];
  const atHome = answerLookup({ repository: 'app', manifest: digestNamed('image'), layers: ['l1', 'l2', 'l3'].map(digestNamed), region: 'home' }, contextOf(rows)).answer;

  it('replaces every source by the nearest ready replica or the blob, and leaves blobs as they are', () => {
    const { answer } = rewriteMounts({ response: atHome, region: 'east' }, contextOf(rows));
    expect(answer.layers.map((layer) => (layer.kind === 'mount' ? layer.mounts[0]?.region : layer.reason))).toEqual(['east', 'REPLICA_NONE', 'REPLICA_NONE']);
    expect(answer.region).toBe('east');
  });

  it('trusts nothing in the response: a layer that the image does not have becomes a blob', () => {
    const [first] = atHome.layers;
    const forged = { ...atHome, layers: [{ ...first!, digest: digestNamed('secret') }] };
    const { answer, held } = rewriteMounts({ response: forged, region: 'east' }, contextOf([...rows, expandedRow('secret'), replica('secret', 'east')]));
    expect(answer.layers).toMatchObject([{ kind: 'blob', reason: 'LAYER_NOT_IN_IMAGE' }]);
    expect(held).toEqual([]);
  });
});

describe('every answer', () => {
  const NAMES = ['l1', 'l2', 'l3', 'l4'];
  const anyLayerRow = fc.oneof(
    fc.constantFrom(...NAMES).map(expandedRow),
    fc.tuple(fc.constantFrom(...NAMES), fc.constantFrom('wanted' as const, 'expanding' as const))
      .map(([layer, state]): MapRow => ({ topic: 'layer', digest: digestNamed(layer), state, since: NOW })),
    fc.constantFrom(...NAMES).map((layer): MapRow => ({ topic: 'layer', digest: digestNamed(layer), state: 'refused', refusal: 'no' })),
  );
  const anyShare = fc.constantFrom('home', 'east', 'neareast', 'far', 'unconfigured');
  const anyReplica = fc.tuple(fc.constantFrom(...NAMES), anyShare, fc.constantFrom(...REPLICA_STATES)).map((args) => replica(...args));
  const anyLayers = fc.array(fc.constantFrom(...NAMES), { maxLength: 5 });
  const anyImage = fc.tuple(fc.constantFrom('app', 'other'), fc.constantFrom('image', 'image 2'), anyLayers).map((args) => imageRow(...args));
  const anyRepository = fc.tuple(fc.constantFrom('app', 'other'), fc.boolean()).map(([name, on]): MapRow => ({ topic: 'repository', name, enabled: on }));
  const anyRow = fc.oneof({ weight: 4, arbitrary: anyLayerRow }, { weight: 6, arbitrary: anyReplica }, { weight: 3, arbitrary: anyImage }, anyRepository);
  const anyRows = fc.array(anyRow, { maxLength: 50 }).map((rows) => [enabled('app'), ...rows]);
  const anyText = fc.oneof(fc.constantFrom('home', 'east', 'neareast', 'app', '__proto__'), fc.string());
  const anyLookup = fc.record({
    repository: fc.oneof(fc.constantFrom('app', 'other'), anyText),
    manifest: fc.constantFrom('image', 'image 2', 'l1').map(digestNamed),
    layers: fc.array(fc.oneof(fc.constantFrom(...NAMES, 'unknown').map(digestNamed), fc.string() as fc.Arbitrary<Digest>), { maxLength: 8 }),
    region: fc.option(anyText, { nil: undefined }),
    transports: fc.option(fc.subarray([...TRANSPORTS]), { nil: undefined }),
    have: fc.option(fc.array(fc.constantFrom(...NAMES).map(digestNamed), { maxLength: 3 }), { nil: undefined }),
    onlyBlobs: fc.option(fc.constantFrom(...PULL_REASONS), { nil: undefined, freq: 8 }),
  });
  const anySources = fc.tuple(fc.subarray([...TRANSPORTS]), fc.subarray(['east', 'home'])).map(([transports, failing]) => {
    const sources = new NamedMountSources(transports);
    for (const share of failing) sources.failing.add(share);
    return sources;
  });

  it('hands out ready replicas of expanded layers only, each in a lease (I1)', () => {
    fc.assert(fc.property(anyRows, anyLookup, anySources, (rows, request, sources) => {
      const context = contextOf(rows, { sources });
      const { answer, held } = answerLookup(request, context);
      for (const layer of answer.layers) {
        if (layer.kind !== 'mount') continue;
        expect(layer.mounts.length).toBeGreaterThan(0);
        expect(context.map.layer(layer.digest)?.expansion?.state).toBe('expanded');
        for (const mount of layer.mounts) {
          expect(context.map.replicaState(layer.digest, mount.region)).toBe('ready');
          expect(held).toContainEqual({ layer: layer.digest, share: mount.region });
        }
      }
    }), { numRuns: 500 });
  });

  it('mounts only layers of that image of that repository (I4)', () => {
    fc.assert(fc.property(anyRows, anyLookup, (rows, request) => {
      const context = contextOf(rows);
      const image = context.map.image(request.repository, request.manifest);
      const own = image?.kind === 'image' && context.map.enabled(request.repository) === true ? image.layers.map((layer) => layer.digest) : [];
      const { layers } = answerLookup(request, context).answer;
      for (const layer of layers) if (layer.kind === 'mount') expect(own).toContain(layer.digest);
    }), { numRuns: 500 });
  });

  it('has one entry for each layer of the request, in its order, whatever the request says (I3)', () => {
    fc.assert(fc.property(anyRows, anyLookup, anySources, (rows, request, sources) => {
      const { answer } = answerLookup(request, contextOf(rows, { sources }));
      expect(answer.layers.map((layer) => layer.digest)).toEqual(request.layers);
      for (const layer of answer.layers) if (layer.kind === 'blob') expect(PULL_REASONS).toContain(layer.reason);
    }), { numRuns: 500 });
  });

  it('gives a pull by reference the same layers as a lookup that names them', () => {
    fc.assert(fc.property(anyRows, anyLookup, (rows, request) => {
      const context = contextOf(rows);
      const outcome = answerPull({ ...request, reference: { kind: 'digest', digest: request.manifest } }, context);
      if (outcome.kind !== 'answer') return;
      const layers = outcome.answer.layers.map((layer) => layer.digest);
      expect(answerLookup({ ...request, layers }, context).answer).toEqual(outcome.answer);
    }), { numRuns: 500 });
  });
});
