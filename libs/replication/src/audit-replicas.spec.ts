import { beforeEach, expect, it } from 'vitest';

import type { Digest } from '#oci';

import { type AuditReport, auditReplicas } from './audit-replicas.js';
import { copyReplica } from './copy-replica.js';
import type { ReplicaKey } from './replica.js';
import { bytesOn, pathOf, ReplicationWorld } from './testing/index.js';

let world: ReplicationWorld;
let again: Digest[];
beforeEach(() => {
  world = new ReplicationWorld();
  again = [];
});

const audit = (limit = 100, after?: ReplicaKey): Promise<AuditReport> =>
  auditReplicas({ store: world.store, records: world.records, shares: world.shares, clock: world.clock, layers: { expandAgain: (layer) => Promise.resolve(again.push(layer) > 0) } }, { limit, after });

async function onTwo(name = 'layer'): Promise<Digest> {
  await world.expandOnto(world.home, name, 'a.b');
  return world.expandOnto(world.east, name, 'a.b');
}

it('finds nothing where all files are whole', async () => {
  await onTwo();
  expect(await audit()).toEqual({ checked: 2, ordered: [], expandedAgain: [], silentShares: [], next: undefined });
});

it.each([
  ['is missing', (path: string) => world.east.remove(path)],
  ['has another size', (path: string) => world.east.resizeFile(path, 512)],
  ['is not noted as whole', (path: string) => world.east.setMetadata(path, { damaged_piece: '1' })],
])('takes a replica whose file %s out of the answers, and has it copied again', async (_title, spoil) => {
  const layer = await onTwo();
  await spoil(pathOf(layer));
  expect(await audit()).toMatchObject({ checked: 2, ordered: [{ layer, share: 'east' }], expandedAgain: [] });
  const replica = await world.replica(world.east, layer);
  expect(replica).toMatchObject({ state: 'wanted', copiedBytes: 0 });
  expect(replica?.reason).toContain('its file');
  await copyReplica(world.ports(), await world.claimCopy(), new AbortController().signal);
  expect((await bytesOn(world.east, layer)).equals(await bytesOn(world.home, layer))).toBe(true);
  expect(world.east.paths).toEqual([pathOf(layer)]);
  expect(await audit()).toMatchObject({ ordered: [] });
});

it('has a layer expanded again when the last ready replica is missing, and leaves the row to that', async () => {
  const layer = await world.expandOnto(world.home, 'layer', 'a');
  await world.home.remove(pathOf(layer));
  expect(await audit()).toMatchObject({ ordered: [], expandedAgain: [{ layer, share: 'home' }] });
  expect(again).toEqual([layer]);
  expect(await world.replica(world.home, layer)).toMatchObject({ state: 'ready' });
});

it('comes to an expansion when all files of a layer are missing', async () => {
  const layer = await onTwo();
  for (const share of [world.home, world.east]) await share.remove(pathOf(layer));
  expect(await audit()).toMatchObject({ ordered: [{ share: 'east' }], expandedAgain: [{ share: 'home' }] });
});

it('takes a share that does not answer for no evidence, and asks it once', async () => {
  for (const name of ['a', 'b', 'c']) await onTwo(name);
  world.east.failNext('stat', 'SHARE_UNAVAILABLE');
  expect(await audit()).toMatchObject({ checked: 3, ordered: [], silentShares: ['east'] });
  expect(world.east.calls.filter((call) => call.operation === 'stat')).toHaveLength(1);
});

it('looks at a part at a time, and at all of them in turn', async () => {
  for (const name of ['a', 'b', 'c']) await onTwo(name);
  const seen: number[] = [];
  let next: ReplicaKey | undefined;
  do {
    const report: AuditReport = await audit(4, next);
    seen.push(report.checked);
    next = report.next;
  } while (next !== undefined);
  expect(seen).toEqual([4, 2]);
});
