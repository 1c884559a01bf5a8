import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { Claimed } from '#claims';
import { ManualClock } from '#clock/testing';
import { type ExpandedLayer, expandLayer } from '#expansion';
import { chunked, MemoryExpandedLayerStore, noise, tarOf, wantedLayer } from '#expansion/testing';
import { ReplicaMap } from '#mounts';
import { digestOf } from '#oci';
import { MINUTE_MS } from '#quantities';
import type { Replica } from '#replication';
import { MemoryReplicaStore } from '#replication/testing';
import { FullShares, LAYER_FILE_VERSION, layerFilePath } from '#shares';
import { MemoryShare } from '#shares/testing';
import { createLogger, Metrics } from '#telemetry';

import { ExpandedLayerRecords } from '../../work/ports-between-rooms.js';
import { FAILED_PAUSE_MS, KeptLayers, type PassedLayer } from './kept-layers.js';
import type { SpooledBlob } from './spooled-blob.js';

const LEASE_MS = MINUTE_MS;
const BLOB = gzipSync(tarOf({ name: 'a', contents: noise(300_000, 'a') }, { name: 'zeros', contents: Buffer.alloc(6_000_000) }, { name: 'b', contents: noise(100_000, 'b') }), { level: 1 });
const LAYER = digestOf(BLOB);
const PATH = layerFilePath(LAYER, LAYER_FILE_VERSION);
const never = new AbortController().signal;

let folder: string;
let clock: ManualClock;
let home: MemoryShare;
let east: MemoryShare;
let store: MemoryReplicaStore;
let layers: MemoryExpandedLayerStore;
let map: ReplicaMap;
let metrics: Metrics;
let expanded: ExpandedLayer;
let takers: SpooledBlob[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'translocator-keeping-'));
  clock = new ManualClock();
  home = new MemoryShare({ name: 'westeurope', region: 'westeurope', clock });
  east = new MemoryShare({ name: 'eastus', region: 'eastus', clock });
  store = new MemoryReplicaStore();
  layers = new MemoryExpandedLayerStore();
  map = new ReplicaMap();
  metrics = new Metrics();
  takers = [];
  expanded = await expandLayer({ layer: { digest: LAYER, sizeBytes: BLOB.length }, blob: chunked(BLOB, 65_536), share: home, claimId: 'at-home', isHeld: async () => true, signal: never });
  await record(expanded);
  await store.recordReady({ layer: LAYER, share: home.name, sizeBytes: expanded.vhd.sizeBytes, reason: 'expanded here' }, clock.now());
  map.putRepository({ name: 'team/app', enabled: true });
  map.putReplica({ layer: LAYER, share: home.name, state: 'ready' });
});
afterEach(async () => {
  await Promise.all(takers.map((taker) => taker.discard()));
  await rm(folder, { recursive: true, force: true });
});

/** Notes what home made of the layer, in the database and in the map. */
async function record(file: ExpandedLayer): Promise<void> {
  await layers.want([wantedLayer('a', { digest: LAYER, sizeBytes: BLOB.length })], clock.now());
  const [claimed] = await layers.claim({ owner: 'worker', limit: 1, now: clock.now(), leaseMs: LEASE_MS });
  await layers.complete(claimed!.claim.id, file, clock.now());
  map.putLayer({ topic: 'layer', state: 'expanded', ...file });
}

interface GatewayOptions {
  readonly unorderedBytesMax?: number;
  readonly share?: MemoryShare;
  readonly layers?: MemoryExpandedLayerStore;
  readonly isBusy?: () => boolean;
}

function gateway({ unorderedBytesMax = 1e9, share = east, layers: records = layers, isBusy = () => false }: GatewayOptions = {}): KeptLayers {
  return new KeptLayers({
    share, home, map: { map }, store, layers: records, clock, metrics,
    records: new ExpandedLayerRecords(records),
    full: new FullShares(() => undefined),
    isBusy,
    terms: { unordered: { bytesMax: unorderedBytesMax, stayingBytes: unorderedBytesMax, togetherMs: 0, graceMs: MINUTE_MS }, expansionMaxMs: MINUTE_MS, folder, spool: { bytesMax: 1e9, memoryBytesMax: 1, blobsMax: 4, ageMaxMs: MINUTE_MS } },
    onWhole: () => undefined,
    onGivenBack: () => undefined,
    logger: createLogger('fatal', { write: () => undefined }),
  });
}

/** Passes a blob through a gateway to its end. @returns whether the gateway took it. */
async function pass(through: KeptLayers, bytes: Buffer = BLOB): Promise<boolean> {
  const answer = { status: 200, headers: { 'content-length': String(bytes.length) } };
  const taker = through.offer({ method: 'GET', headers: {} }, { blob: { repository: 'team/app', digest: LAYER } }, answer);
  if (taker !== undefined) takers.push(taker);
  for (let at = 0; at < bytes.length; at += 65_536) taker?.take(bytes.subarray(at, at + 65_536));
  await taker?.end(true);
  return taker !== undefined;
}
const claim = async (of: KeptLayers, owner = 'gateway'): Promise<Claimed<PassedLayer> | undefined> => (await of.claim({ owner, limit: 1, now: clock.now(), leaseMs: LEASE_MS }))[0];
const replica = async (): Promise<Replica | undefined> => (await store.find([LAYER])).find(({ share }) => share === east.name);
const order = (): Promise<unknown> => store.want(east, [{ layer: LAYER, sizeBytes: expanded.vhd.sizeBytes, priority: 1, reason: 'demand' }], clock.now());
async function outcomes(): Promise<Record<string, number>> {
  const { values } = await metrics.gatewayLayers.get();
  return Object.fromEntries(values.map(({ labels, value }) => [`${labels['outcome']} ${labels['reason']}`, value]));
}

describe('a gateway', () => {
  it('makes the very file of home of what passed, ordered by nobody, and counts what no copy has to move', async () => {
    const kept = gateway();
    expect(await pass(kept)).toBe(true);
    await kept.make((await claim(kept))!, never);
    expect(await replica()).toMatchObject({ state: 'ready', sizeBytes: expanded.vhd.sizeBytes, reason: 'passed through the gateway of eastus' });
    const whole = { offset: 0, length: expanded.vhd.sizeBytes };
    expect((await east.readRange(PATH, whole)).equals(await home.readRange(PATH, whole))).toBe(true);
    expect((await east.stat(PATH))?.metadata).toEqual((await home.stat(PATH))?.metadata);
    expect(home.traffic.copiedOutBytes).toBe(0);
    expect(await outcomes()).toEqual({ 'kept UNORDERED': 1 });
    expect((await metrics.gatewayKeptBytes.get()).values).toEqual([expect.objectContaining({ labels: { ordered: 'no' }, value: expect.any(Number) })]);
    expect(await pass(kept)).toBe(true);
  });

  it('serves what the planner ordered, also where nothing may be kept that it did not order', async () => {
    await order();
    map.putReplica({ layer: LAYER, share: east.name, state: 'wanted' });
    const kept = gateway({ unorderedBytesMax: 0 });
    await pass(kept);
    await kept.make((await claim(kept))!, never);
    expect(await replica()).toMatchObject({ state: 'ready', reason: 'demand' });
    expect(await outcomes()).toEqual({ 'kept ORDERED': 1 });
  });

  it('begins no expansion while its process does not keep up, and goes on then', async () => {
    let busy = true;
    const kept = gateway({ isBusy: () => busy });
    await pass(kept);
    expect(await claim(kept)).toBeUndefined();
    expect(await replica()).toBeUndefined();
    busy = false;
    expect(await claim(kept)).toBeDefined();
  });

  it('is one of two that see the same layer, and writes alone', async () => {
    const [one, two] = [gateway(), gateway()];
    await Promise.all([pass(one), pass(two)]);
    const [first, second] = [await claim(one, 'one'), await claim(two, 'two')];
    expect(second).toBeUndefined();
    await one.make(first!, never);
    expect(await outcomes()).toEqual({ 'declined COPYING': 1, 'kept UNORDERED': 1 });
    expect(await pass(two)).toBe(true);
    expect(await claim(two)).toBeUndefined();
    expect(await outcomes()).toMatchObject({ 'declined THERE': 1 });
  });

  it('sets a layer aside once, however many nodes pull it at the same time', async () => {
    const kept = gateway();
    expect([await pass(kept), await pass(kept)]).toEqual([true, false]);
    expect(await outcomes()).toEqual({ 'declined ON_ITS_WAY': 1 });
  });

  it('gives bytes up that are not the layer\'s own, and leaves nothing of them', async () => {
    const wrong = Buffer.from(BLOB);
    wrong[wrong.length >> 1]! ^= 1;
    const kept = gateway();
    await pass(kept, wrong);
    const claimed = (await claim(kept))!;
    await expect(kept.make(claimed, never)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    expect(await kept.postpone(claimed.claim.id, { reason: 'the bytes were wrong' })).toBe(true);
    expect(await replica()).toMatchObject({ state: 'draining', reason: 'the bytes were wrong' });
    expect(east.paths).toEqual([]);
    expect(await outcomes()).toEqual({ 'failed DIGEST_MISMATCH': 1 });
    expect(await pass(kept)).toBe(false);
    await clock.advance(FAILED_PAUSE_MS);
    expect(await pass(kept)).toBe(true);
    expect(await outcomes()).toMatchObject({ 'declined FAILED_BEFORE': 1 });
  });

  it('gives a file up that is not the one of the record, and leaves its order to the copies', async () => {
    await order();
    const other = new MemoryExpandedLayerStore();
    [layers, expanded] = [other, { ...expanded, vhd: { ...expanded.vhd, digest: digestOf('another file') } }];
    await record(expanded);
    const kept = gateway({ layers: other });
    await pass(kept);
    const claimed = (await claim(kept))!;
    await expect(kept.make(claimed, never)).rejects.toMatchObject({ code: 'OTHER_FILE', transient: false });
    await kept.postpone(claimed.claim.id, { reason: 'another file' });
    expect(east.paths).toEqual([]);
    expect(await replica()).toMatchObject({ state: 'wanted', attempts: 0 });
    expect(await store.copies.claim({ owner: 'worker', limit: 1, now: clock.now(), leaseMs: LEASE_MS })).toHaveLength(1);
  });

  it('keeps no more than may be there unordered: what passed before gives way once it is whole', async () => {
    const sizeBytes = expanded.vhd.sizeBytes;
    await store.recordReady({ layer: digestOf('b'), share: home.name, sizeBytes, reason: 'expanded here' }, clock.now());
    const before = await store.takePassing(east, { layer: digestOf('b'), sizeBytes, reason: 'it passed', unordered: { bytesMax: sizeBytes, stayingBytes: 0, togetherMs: 0, graceMs: 0 } }, { owner: 'x', now: clock.now(), leaseMs: LEASE_MS });
    const kept = gateway({ unorderedBytesMax: 2 * sizeBytes - 1 });
    await pass(kept);
    expect(await claim(kept)).toBeUndefined();
    expect(await outcomes()).toEqual({ 'declined UNORDERED_FULL': 1 });
    await store.complete('claimed' in before ? before.claimed.claim.id : '', sizeBytes, clock.now());
    await pass(kept);
    expect(await claim(kept)).toMatchObject({ item: { ordered: false } });
    expect(await outcomes()).toEqual({ 'declined UNORDERED_FULL': 1, 'gave-way PASSED_EARLIER': 1 });
  });

  it('has ready again what gave way and passes once more, without its bytes, and what was ordered never', async () => {
    const kept = gateway();
    await pass(kept);
    await kept.make((await claim(kept))!, never);
    map.putReplica({ layer: LAYER, share: east.name, state: 'draining' });
    const drain = () => store.drain({ layer: LAYER, share: east.name }, { reason: 'gave way', now: clock.now(), graceMs: MINUTE_MS });
    await drain();
    expect(await pass(kept)).toBe(false);
    await expect.poll(replica).toMatchObject({ state: 'ready', reason: 'it passed again' });
    await expect.poll(outcomes).toEqual({ 'kept UNORDERED': 1, 'declined DRAINING': 1, 'recalled PASSED_AGAIN': 1 });
    await order();
    await drain();
    expect(await pass(kept)).toBe(false);
    expect(await replica()).toMatchObject({ state: 'draining' });
  });

  it('says when what passes again could not be recalled, and lets it pass', async () => {
    const kept = gateway();
    map.putReplica({ layer: LAYER, share: east.name, state: 'draining' });
    store.recallPassed = () => Promise.reject(new Error('the database is down'));
    expect(await pass(kept)).toBe(false);
    expect(await outcomes()).toEqual({ 'declined DRAINING': 1 });
  });

  it('declines what the share has no room for by the account, and pauses when the share itself turns out full', async () => {
    const small = new MemoryShare({ name: 'eastus', region: 'eastus', clock, capacityBytes: expanded.vhd.sizeBytes - 1 });
    const kept = gateway({ share: small });
    await pass(kept);
    expect(await claim(kept)).toBeUndefined();
    expect(await outcomes()).toEqual({ 'declined SHARE_FULL': 1 });
    const written = gateway();
    east.failNext('writeRange', 'SHARE_FULL');
    await pass(written);
    const claimed = (await claim(written))!;
    await expect(written.make(claimed, never)).rejects.toMatchObject({ code: 'SHARE_FULL' });
    await written.postpone(claimed.claim.id, { reason: 'full' });
    expect(await pass(written)).toBe(false);
    expect(await outcomes()).toEqual({ 'declined SHARE_FULL': 2, 'failed SHARE_FULL': 1 });
  });

  it('that stops in the middle leaves no replica that nobody ordered, and gives an order back at once', async () => {
    const kept = gateway();
    await pass(kept);
    const claimed = (await claim(kept))!;
    await expect(kept.make(claimed, AbortSignal.abort(new Error('stopped')))).rejects.toThrow('stopped');
    expect(await kept.release(claimed.claim.id)).toBe(true);
    expect(await replica()).toMatchObject({ state: 'draining' });
    await clock.advance(FAILED_PAUSE_MS);
    await pass(kept);
    await kept.stop();
    expect(await claim(kept)).toBeUndefined();
    expect(await pass(kept)).toBe(false);
  });

  it('lets go of a layer whose claim it lost', async () => {
    const kept = gateway();
    await pass(kept);
    const claimed = (await claim(kept))!;
    expect(await kept.renew([claimed.claim.id], clock.now(), LEASE_MS)).toEqual(new Set([claimed.claim.id]));
    await store.recordReady({ layer: LAYER, share: east.name, sizeBytes: 1, reason: 'expanded here' }, clock.now());
    expect(await kept.renew([claimed.claim.id], clock.now(), LEASE_MS)).toEqual(new Set());
    await expect(kept.make(claimed, never)).rejects.toMatchObject({ code: 'CLAIM_LOST' });
    expect(east.paths).toEqual([]);
  });

  it('takes no part in uploads, errors, looks without a body, and what is no blob', async () => {
    const kept = gateway();
    const blob = { repository: 'team/app', digest: LAYER };
    const answer = { status: 200, headers: { 'content-length': String(BLOB.length) } };
    expect(kept.offer({ method: 'HEAD', headers: {} }, { blob }, answer)).toBeUndefined();
    expect(kept.offer({ method: 'PUT', headers: {} }, { blob }, answer)).toBeUndefined();
    expect(kept.offer({ method: 'GET', headers: {} }, {}, answer)).toBeUndefined();
    for (const status of [401, 403, 404, 500]) expect(kept.offer({ method: 'GET', headers: {} }, { blob }, { ...answer, status })).toBeUndefined();
    expect(await outcomes()).toEqual({});
  });
});
