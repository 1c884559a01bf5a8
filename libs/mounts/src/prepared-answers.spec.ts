import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { RegionMap } from '#regions';

import { type AnswerContext, answerLookup } from './answer-pull.js';
import type { MapRow } from './map-row.js';
import type { MountSources } from './mount-sources.js';
import { NearShares } from './near-shares.js';
import { type AnswerPieces, type PlainLookup, PREPARED_KEPT_MS, PreparedAnswers, UNSURE_KEPT_MS, writeAnswer } from './prepared-answers.js';
import { ReplicaMap } from './replica-map.js';
import { FAILED_PROBES_MAX, HealthyMountSources, ShareHealth } from './share-health.js';
import { digestNamed, expandedRow, imageRow, NamedMountSources, viewedRows } from './testing/index.js';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const LAYERS = ['l1', 'l2'];
const REGIONS = new RegionMap(['east', 'west'].map((name) => ({ name, displayName: name })), 'east', [], { roundTripMs: 5, throughputBytesPerSecond: 1e7, pricePerGb: 0 });
const NEAR = new NearShares(REGIONS, ['east', 'west'].map((name) => ({ name, region: name })));

const SOURCES = new NamedMountSources(['smb', 'https']);

function context(map: ReplicaMap, now = NOW, sources: MountSources = SOURCES): AnswerContext & { mapAgeMaxMs: number } {
  return { map, near: NEAR, sources, now, mapAgeMaxMs: 3_600_000 };
}

function asked(changes: Partial<PlainLookup> = {}): PlainLookup {
  return { repository: 'app', manifest: digestNamed('image'), layersText: JSON.stringify(LAYERS.map(digestNamed)), region: 'east', ...changes };
}

function served(): ReplicaMap {
  const map = new ReplicaMap();
  map.asOf = NOW;
  const rows: MapRow[] = [{ topic: 'repository', name: 'app', enabled: true }, ...viewedRows('app', 'image', LAYERS), ...LAYERS.map(expandedRow)];
  for (const layer of [...LAYERS, 'view of image']) rows.push({ topic: 'replica', layer: digestNamed(layer), share: 'east', state: 'ready' });
  rows.forEach((row) => map.put(row));
  return map;
}

function textOf({ opening, rest, closing }: AnswerPieces): string {
  return opening + Buffer.from(rest).toString() + closing;
}
const parsed = (prepared: ReturnType<PreparedAnswers['answerTo']>): unknown => prepared && JSON.parse(textOf(writeAnswer(prepared, NOW.toISOString(), undefined)));

/** Changes that rows may bring, in any order. */
const change: fc.Arbitrary<(map: ReplicaMap) => void> = fc.oneof(
  fc.tuple(fc.constantFrom(...LAYERS, 'view of image'), fc.constantFrom('east', 'west'), fc.constantFrom('wanted', 'copying', 'ready', 'draining', 'gone')).map(([layer, share, state]) => (map: ReplicaMap) =>
    state === 'gone' ? map.removeReplica(digestNamed(layer), share) : map.putReplica({ layer: digestNamed(layer), share, state })),
  fc.tuple(fc.constantFrom(...LAYERS), fc.constantFrom('wanted', 'refused', 'expanded', 'none')).map(([layer, state]) => (map: ReplicaMap) => {
    const digest = digestNamed(layer);
    if (state === 'none') map.removeLayer(digest);
    else if (state === 'expanded') map.putLayer(expandedRow(layer));
    else map.putLayer(state === 'wanted' ? { topic: 'layer', digest, state, since: NOW } : { topic: 'layer', digest, state: 'refused', refusal: 'TAR_INVALID' });
  }),
  fc.constantFrom(true, false).map((enabled) => (map: ReplicaMap) => map.putRepository({ name: 'app', enabled })),
  fc.constantFrom(['l1', 'l2'], ['l2', 'l1'], ['l1']).map((layers) => (map: ReplicaMap) => map.putImage(imageRow('app', 'image', layers))),
  fc.constant((map: ReplicaMap) => map.removeImage('app', digestNamed('image'))),
);

describe('prepared answers', () => {
  it('say what is decided anew, after whatever changes', () => {
    let givenCount = 0;
    fc.assert(
      fc.property(fc.array(fc.tuple(change, fc.constantFrom('east', 'west'), fc.constantFrom(undefined, ['https'] as const, [] as const)), { maxLength: 30 }), (steps) => {
        const map = served();
        const prepared = new PreparedAnswers();
        for (const [apply, region, transports] of steps) {
          apply(map);
          const question = asked({ region, transports });
          const { answer } = answerLookup({ ...question, layers: JSON.parse(question.layersText) }, context(map));
          const given = parsed(prepared.answerTo(question, context(map)));
          if (given === undefined) continue;
          expect(given).toEqual(JSON.parse(JSON.stringify(answer)));
          givenCount += 1;
        }
      }),
      { numRuns: 300 },
    );
    expect(givenCount).toBeGreaterThan(300);
  });

  it('are given again while nothing changes, and made anew after a while', () => {
    const [map, prepared] = [served(), new PreparedAnswers()];
    const first = prepared.answerTo(asked(), context(map));
    expect(first?.tally).toEqual([{ kind: 'mount', reason: '', count: 2 }]);
    expect(prepared.answerTo(asked(), context(map, new Date(NOW.getTime() + PREPARED_KEPT_MS / 2 - 1)))).toBe(first);
    expect(prepared.answerTo(asked(), context(map, new Date(NOW.getTime() + PREPARED_KEPT_MS)))).not.toBe(first);
  });

  it('that were made together are made anew one by one', () => {
    const [map, prepared] = [served(), new PreparedAnswers()];
    const images = Array.from({ length: 60 }, (_, n) => `image ${n}`);
    for (const image of images) map.putImage(imageRow('app', image, LAYERS));
    const given = (atMs: number): unknown[] => images.map((image) => prepared.answerTo(asked({ manifest: digestNamed(image) }), context(map, new Date(NOW.getTime() + atMs))));
    const perStep: number[] = [];
    let before = given(0);
    for (let step = 1; step <= 10; step += 1) {
      const now = given((PREPARED_KEPT_MS * step) / 10);
      perStep.push(now.filter((answer, n) => answer !== before[n]).length);
      before = now;
    }
    expect(Math.max(...perStep)).toBeLessThan(images.length / 2);
    expect(perStep.reduce((sum, count) => sum + count)).toBeGreaterThanOrEqual(images.length);
  });

  it('are made anew at once when a share goes down, and soon where it could not be asked', () => {
    const [map, prepared, health, named] = [served(), new PreparedAnswers(), new ShareHealth(['east', 'west']), new NamedMountSources()];
    const sources = new HealthyMountSources(named, health);
    const tally = (now = NOW): unknown => prepared.answerTo(asked(), context(map, now, sources))?.tally;
    expect(tally()).toEqual([{ kind: 'mount', reason: '', count: 2 }]);
    for (let probes = 0; probes < FAILED_PROBES_MAX; probes += 1) health.probed('west', false);
    named.failing.add('east');
    const unavailable = [{ kind: 'blob', reason: 'SHARE_UNAVAILABLE', count: 2 }];
    expect(tally()).toEqual(unavailable);
    named.failing.clear();
    expect(tally()).toEqual(unavailable);
    expect(tally(new Date(NOW.getTime() + UNSURE_KEPT_MS))).toEqual([{ kind: 'mount', reason: '', count: 2 }]);
    for (let probes = 0; probes < FAILED_PROBES_MAX; probes += 1) health.probed('east', false);
    expect(tally(new Date(NOW.getTime() + UNSURE_KEPT_MS))).toEqual(unavailable);
  });

  it('are written in bytes, whatever characters the sources have', () => {
    class Folders extends NamedMountSources {
      override of(...args: Parameters<NamedMountSources['of']>): ReturnType<NamedMountSources['of']> {
        return super.of(...args).map((mount) => ({ ...mount, source: `/schichten/größe/層${mount.source}` }));
      }
    }
    const given = parsed(new PreparedAnswers().answerTo(asked(), context(served(), NOW, new Folders())));
    expect(given).toMatchObject({ layers: [{ mounts: [{ source: expect.stringContaining('/größe/層//east') }] }, { kind: 'mount' }] });
  });

  it('are for whole images of that repository near a known region only', () => {
    const [map, prepared] = [served(), new PreparedAnswers()];
    map.putRepository({ name: 'other', enabled: true });
    expect(prepared.answerTo(asked(), context(map))).toBeDefined();
    for (const other of [{ repository: 'other' }, { repository: 'nobody' }, { manifest: digestNamed('l1') }, { region: 'moon' }, { layersText: JSON.stringify([digestNamed('l1')]) }, { layersText: '[]' }]) {
      expect(prepared.answerTo(asked(other), context(map))).toBeUndefined();
    }
    expect(prepared.answerTo(asked(), context(map, new Date(NOW.getTime() + 3_600_001)))).toBeUndefined();
  });

  it('are not kept where they hold an estimate, which counts from now', () => {
    const [map, prepared] = [served(), new PreparedAnswers()];
    map.putLayer({ topic: 'layer', digest: digestNamed('l1'), state: 'expanding', since: NOW });
    expect(prepared.answerTo(asked(), context(map))).toBeUndefined();
  });

  it('stay within their bytes, whatever is asked for, and keep what is asked for again', () => {
    const map = served();
    const prepared = new PreparedAnswers({ bytesMax: 100_000, keptMs: 3_600_000 });
    for (let n = 0; n < 200; n += 1) map.putImage(imageRow('app', `image ${n}`, LAYERS));
    const hot = prepared.answerTo(asked(), context(map));
    for (let n = 0; n < 200; n += 1) {
      expect(prepared.answerTo(asked({ manifest: digestNamed(`image ${n}`) }), context(map))).toBeDefined();
      expect(prepared.answerTo(asked(), context(map))).toBe(hot);
      expect(prepared.keptBytes).toBeLessThan(120_000);
    }
  });

  it('end with their lease', () => {
    const answer = new PreparedAnswers().answerTo(asked(), context(served()));
    const lease = { id: '00000000-0000-4000-8000-000000000000', expiresAt: NOW };
    expect(JSON.parse(textOf(writeAnswer(answer!, NOW.toISOString(), lease)))).toMatchObject({ schemaVersion: 1, asOf: NOW.toISOString(), lease: { id: lease.id, expiresAt: NOW.toISOString() } });
  });
});
