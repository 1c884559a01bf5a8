import { describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';
import { RegionMap } from '#regions';

import { LeaseBook } from './lease-book.js';
import { Lookup, type LookupOptions } from './lookup.js';
import { NearShares } from './near-shares.js';
import { type ObservedPull, PullObserver } from './pull-observer.js';
import { ReplicaMap } from './replica-map.js';
import { digestNamed, expandedRow, imageRow, MemoryLeaseStore, NamedMountSources } from './testing/index.js';

class RecordedPulls extends PullObserver {
  readonly pulls: ObservedPull[] = [];

  observed(pull: ObservedPull): void {
    this.pulls.push(pull);
  }
}

class BrokenObserver extends PullObserver {
  observed(): void {
    throw new Error('the buffer is broken');
  }
}

function setUp(options: Partial<LookupOptions> = {}): { lookup: Lookup; observer: RecordedPulls; book: LeaseBook; store: MemoryLeaseStore; clock: ManualClock; map: ReplicaMap } {
  const clock = new ManualClock();
  const store = new MemoryLeaseStore();
  const book = new LeaseBook({ store, clock });
  const observer = new RecordedPulls();
  const map = new ReplicaMap();
  map.asOf = clock.now();
  map.put({ topic: 'repository', name: 'app', enabled: true });
  map.put(imageRow('app', 'image', ['l1']));
  map.put(expandedRow('l1'));
  map.put({ topic: 'replica', layer: digestNamed('l1'), share: 'east', state: 'ready' });
  const regions = new RegionMap(['east', 'west'].map((name) => ({ name, displayName: name })), 'east', [], { roundTripMs: 90, throughputBytesPerSecond: 1e7, pricePerGb: 0 });
  const near = new NearShares(regions, [{ name: 'east', region: 'east' }]);
  const lookup = new Lookup({ feeder: { map }, near, sources: new NamedMountSources(), leases: book, observer, clock, ...options });
  return { lookup, observer, book, store, clock, map };
}

const PULL = { repository: 'app', reference: { kind: 'digest', digest: digestNamed('image') }, region: 'east' } as const;

describe('Lookup', () => {
  it('leases what it hands out and observes the pull', async () => {
    const { lookup, observer, book, store, clock } = setUp();
    const outcome = lookup.pull(PULL, { client: 'node-7' });
    expect(outcome).toMatchObject({ kind: 'answer', answer: { lease: { id: expect.any(String), expiresAt: expect.any(String) } } });
    expect(observer.pulls).toEqual([{ region: 'east', repository: 'app', image: digestNamed('image'), client: 'node-7', at: clock.now() }]);
    await book.flush();
    expect(await store.leasedLayers('east', clock.now())).toEqual(new Set([digestNamed('l1')]));
  });

  it('gives blobs and no lease while the process is busy, by every way but answers that are written already, and still observes', () => {
    let isBusy = true;
    const { lookup, observer } = setUp({ isBusy: () => isBusy });
    const busy = lookup.pull(PULL, { client: 'node-7' });
    expect(busy).toMatchObject({ kind: 'answer', answer: { layers: [{ kind: 'blob', reason: 'SERVICE_BUSY' }] } });
    expect(busy.kind === 'answer' && busy.answer.lease).toBeUndefined();
    const asked = { repository: 'app', manifest: digestNamed('image'), layers: [digestNamed('l1')], region: 'east' };
    expect(lookup.lookup(asked).layers).toEqual([expect.objectContaining({ kind: 'blob', reason: 'SERVICE_BUSY' })]);
    expect(lookup.lookup({ ...asked, onlyBlobs: 'AUTHORIZATION_UNAVAILABLE' }).layers).toEqual([expect.objectContaining({ reason: 'AUTHORIZATION_UNAVAILABLE' })]);
    expect(observer.pulls).toHaveLength(3);
    isBusy = false;
    const answer = lookup.lookup(asked);
    expect(answer.layers).toEqual([expect.objectContaining({ kind: 'mount' })]);
    isBusy = true;
    expect(lookup.rewrite({ response: answer, region: 'east' }).layers).toEqual([expect.objectContaining({ kind: 'blob', reason: 'SERVICE_BUSY' })]);
  });

  it('tells once of each request that gets blobs because the process is busy, and of no other', () => {
    let isBusy = true;
    let shedCount = 0;
    const { lookup } = setUp({ isBusy: () => isBusy, onShed: () => (shedCount += 1) });
    const asked = { repository: 'app', manifest: digestNamed('image'), layers: [digestNamed('l1')], region: 'east' };
    lookup.pull(PULL);
    const response = lookup.lookup(asked);
    expect(shedCount).toBe(2);
    lookup.lookup({ ...asked, onlyBlobs: 'AUTHORIZATION_UNAVAILABLE' });
    expect(shedCount).toBe(2);
    lookup.rewrite({ response, region: 'east' });
    expect(shedCount).toBe(3);
    isBusy = false;
    lookup.lookup(asked);
    lookup.rewrite({ response, region: 'east' });
    expect(shedCount).toBe(3);
  });

  it('observes nothing of who asks for no layers, or only for those it has: that is no pull', () => {
    const { lookup, observer } = setUp();
    const asked = { repository: 'app', manifest: digestNamed('image'), layers: [digestNamed('l1')], region: 'east' };
    expect(lookup.lookup({ ...asked, have: [digestNamed('l1')] }).layers).toEqual([expect.objectContaining({ reason: 'ALREADY_HELD' })]);
    lookup.lookup({ ...asked, layers: [] });
    expect(observer.pulls).toEqual([]);
    lookup.lookup({ ...asked, have: [digestNamed('other')] });
    expect(observer.pulls).toHaveLength(1);
  });

  it('observes a pull that is answered with blobs, without a lease: that is where demand shows', () => {
    const { lookup, observer, book } = setUp();
    const outcome = lookup.pull({ ...PULL, region: 'west' });
    expect(outcome.kind === 'answer' && outcome.answer.lease).toBeUndefined();
    expect(observer.pulls.map((pull) => pull.region)).toEqual(['west']);
    expect(book.pendingCount).toBe(0);
  });

  it('observes a pull that is to wait for the expansion, where its region is known', () => {
    const { lookup, observer, clock, map } = setUp();
    map.put({ topic: 'layer', digest: digestNamed('l1'), state: 'wanted', since: clock.now() });
    expect(lookup.pull(PULL, { client: 'node-7' }).kind).toBe('expanding');
    expect(observer.pulls).toEqual([{ region: 'east', repository: 'app', image: digestNamed('image'), client: 'node-7', at: clock.now() }]);
    expect(lookup.pull({ ...PULL, region: undefined }).kind).toBe('expanding');
    lookup.pull(PULL, { pulls: false });
    expect(observer.pulls).toHaveLength(1);
  });

  it('neither observes nor leases what is no pull, what comes from nowhere, and what it does not know', () => {
    const { lookup, observer, book } = setUp();
    lookup.pull(PULL, { pulls: false });
    lookup.pull({ ...PULL, region: 'atlantis' });
    lookup.lookup({ repository: 'app', manifest: digestNamed('forged'), layers: [digestNamed('l1')], region: 'east' });
    lookup.pull({ ...PULL, repository: 'other' });
    expect(observer.pulls).toEqual([]);
    expect(book.pendingCount).toBe(0);
  });

  it('leases a rewritten response and does not observe it again', () => {
    const { lookup, observer, book } = setUp();
    const response = lookup.lookup({ repository: 'app', manifest: digestNamed('image'), layers: [digestNamed('l1')], region: 'east' });
    const rewritten = lookup.rewrite({ response, region: 'east' });
    expect(rewritten.lease?.id).not.toBe(response.lease?.id);
    expect(observer.pulls).toHaveLength(1);
    expect(book.pendingCount).toBe(2);
  });

  it('answers also when the observer and the lease book fail', () => {
    const failures: unknown[] = [];
    const grant = (): never => {
      throw new Error('the book is broken');
    };
    const { lookup } = setUp({ observer: new BrokenObserver(), leases: { grant }, onFailure: (error) => failures.push(error) });
    expect(lookup.pull(PULL)).toMatchObject({ kind: 'answer', answer: { layers: [{ kind: 'mount' }] } });
    expect(failures).toHaveLength(2);
  });

  it('answers without a lease when too many wait to be written', () => {
    const { lookup } = setUp({ leases: new LeaseBook({ store: new MemoryLeaseStore(), clock: new ManualClock(), pendingMax: 0 }) });
    const outcome = lookup.pull(PULL);
    expect(outcome.kind === 'answer' && outcome.answer).toMatchObject({ layers: [{ kind: 'mount' }] });
    expect(outcome.kind === 'answer' && outcome.answer.lease).toBeUndefined();
  });
});
