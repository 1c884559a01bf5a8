import type { DataSource } from 'typeorm';
import { beforeEach, describe, expect, it, vi } from 'vitest';

import { ManualClock } from '#clock/testing';
import { describeOnEveryDatabase } from '#database/testing';
import { ATTEMPTS_MAX, EVENT_TYPES, type EventPosition, type EventType, type OutwardEvent, parsePosition, positionText, type Telling, WebhookRefused, WebhookSender, WebhookTeller } from '#events';
import { PostgresDeliveryStore, PostgresEventStore } from '#events/typeorm';
import { MIGRATIONS } from '#migrations';
import { type Digest, digestOf } from '#oci';
import { MINUTE_MS } from '#quantities';
import { PostgresReplicaStore } from '#replication/typeorm';

import { endBehindAll, PATIENCE } from './told-changes.js';

const LEASE_MS = MINUTE_MS;
const OWNER = '0b9f6c52-3b0e-4d53-9d5c-0f2a6f6f3f10';
const OTHER = '0b9f6c52-3b0e-4d53-9d5c-0f2a6f6f3f11';

/** A webhook of a test: takes what it takes, and remembers it. */
class Receiver extends WebhookSender {
  readonly taken: string[] = [];
  refuse: ((event: OutwardEvent) => Error | undefined) | undefined;

  async send(_webhook: string, event: OutwardEvent): Promise<void> {
    const refusal = this.refuse?.(event);
    if (refusal !== undefined) throw refusal;
    this.taken.push(event.subject);
  }
}

describeOnEveryDatabase('events', MIGRATIONS, (dataSource: () => DataSource) => {
  let events: PostgresEventStore;
  let began: EventPosition;
  const layer = (name: string): Digest => digestOf(name);
  const query = (text: string, values: unknown[] = []): Promise<unknown> => dataSource().query(text, values);
  beforeEach(async () => {
    await query('TRUNCATE events, webhook_deliveries, replicas, expanded_layers, repositories, images CASCADE');
    events = new PostgresEventStore(dataSource());
    began = await events.end();
  });
  /** What is told once nothing that runs elsewhere on the server holds it back any more. */
  const told = async (): Promise<string[]> => (await endBehindAll(dataSource()).then(() => events.after(began, { limit: 100 }))).map(({ type, subject, data }) => `${type.slice('translocator.'.length)} ${subject.replace(/sha256:(....)\S*/, '$1')}${data['region'] === undefined ? '' : ` ${data['region'] as string}`}`);
  const short = (name: string): string => layer(name).slice('sha256:'.length, 'sha256:'.length + 4);

  async function wanted(name: string): Promise<void> {
    await query(`INSERT INTO expanded_layers (digest, media_type, size_bytes, repository, priority, wanted_at) VALUES ($1, 'm', 1, 'team/app', 0, now())`, [layer(name)]);
  }
  async function expanded(name: string): Promise<void> {
    await query(`UPDATE expanded_layers SET state = 'expanded', diff_id = digest, vhd_digest = digest, vhd_size_bytes = 4096, piece_crc64s = '{00}', data_bytes = 1, entry_count = 1, writer_version = 2, expanded_at = now() WHERE digest = $1`, [layer(name)]);
  }
  const replica = (name: string, share: string, state: 'ready' | 'wanted' = 'ready'): Promise<unknown> =>
    query(`INSERT INTO replicas (layer, share, state, size_bytes, reason, wanted_at, ready_at) VALUES ($1, $2, $3, 4096, 'here', now(), CASE WHEN $3 = 'ready' THEN now() END)`, [layer(name), share, state]);
  async function copied(name: string, share: string): Promise<void> {
    await query(`UPDATE replicas SET state = 'copying', claim_id = gen_random_uuid() WHERE layer = $1 AND share = $2`, [layer(name), share]);
    await query(`UPDATE replicas SET state = 'ready', claim_id = NULL, ready_at = now() WHERE layer = $1 AND share = $2`, [layer(name), share]);
  }
  /** In one transaction, as the service writes it. */
  function image(name: string, layers: readonly string[], tag?: string): Promise<void> {
    return dataSource().transaction(async (manager) => {
      await manager.query(`INSERT INTO repositories (name, enabled, changed_at, backfill_state) VALUES ('team/app', true, now(), 'none') ON CONFLICT DO NOTHING`);
      await manager.query(`INSERT INTO images (repository, digest, kind, media_type, size_bytes, pushed_at) VALUES ('team/app', $1, 'image', 'm', 1, now())`, [layer(name)]);
      for (const [place, each] of layers.entries()) await manager.query(`INSERT INTO image_layers (repository, image, place, digest, diff_id, media_type, size_bytes) VALUES ('team/app', $1, $2, $3, $3, 'm', 1)`, [layer(name), place, layer(each)]);
      if (tag !== undefined) await manager.query(`INSERT INTO tags (repository, tag, digest) VALUES ('team/app', $1, $2)`, [tag, layer(name)]);
    });
  }

  describe('are written when', () => {
    it('a layer is expanded, copied, and removed, each once', async () => {
      await wanted('a');
      await expanded('a');
      await query(`UPDATE expanded_layers SET priority = 7`);
      await replica('a', 'westeurope');
      await replica('a', 'eastus', 'wanted');
      await copied('a', 'eastus');
      await query(`UPDATE replicas SET state = 'draining', draining_since = now() WHERE share = 'eastus'`);
      await query(`DELETE FROM replicas WHERE share = 'eastus'`);
      expect(await told()).toEqual([`layer.expanded ${short('a')}`, `layer.replicated ${short('a')} eastus`, `layer.evicted ${short('a')} eastus`]);
      const [first] = await events.after(began, { limit: 1 });
      expect(first).toMatchObject({ data: { layer: layer('a'), repository: 'team/app', vhd: { sizeBytes: 4096 } } });
    });

    it('what was ready goes or is lost, and not when a copy is taken back that never was', async () => {
      for (const name of ['a', 'b']) await replica(name, 'westeurope');
      const store = new PostgresReplicaStore(dataSource());
      const order = { reason: 'no demand', now: new Date(), graceMs: 0 };
      const at = (name: string) => ({ layer: layer(name), share: 'eastus' });
      const removed = async (): Promise<void> => {
        for (const { claim } of await store.removals.claim({ owner: 'worker', limit: 9, now: new Date(), leaseMs: 1000 })) await store.gone(claim.id);
      };
      await replica('a', 'eastus', 'wanted');
      const [copy] = await store.copies.claim({ owner: 'worker', limit: 1, now: new Date(), leaseMs: 1 });
      await store.progress(copy!.claim.id, 10, { path: '.partial/a', pieces: Buffer.of(1) });
      expect(await store.cancel(at('a'), order)).toBe('draining');
      await vi.waitFor(async () => {
        await removed();
        expect(await store.find([layer('a')])).toHaveLength(1);
      }, PATIENCE);
      expect(await told()).toEqual([]);
      for (const name of ['a', 'b']) {
        await replica(name, 'eastus', 'wanted');
        await copied(name, 'eastus');
      }
      const came = ['a', 'b'].map((name) => `layer.replicated ${short(name)} eastus`);
      expect(await store.lose(at('a'), 'its file is missing', new Date())).toBe('wanted');
      expect(await told()).toEqual([...came, `layer.evicted ${short('a')} eastus`]);
      expect(await store.cancel(at('a'), order)).toBe('draining');
      await store.drain(at('b'), order);
      await removed();
      expect(await store.find([layer('a'), layer('b')])).toHaveLength(2);
      expect(await told()).toEqual([...came, `layer.evicted ${short('a')} eastus`, `layer.evicted ${short('b')} eastus`]);
    });

    it('an image is whole in a region: with the last of its layers, in each region by itself', async () => {
      await image('app', ['a', 'b'], 'v1');
      await image('more', ['a', 'b', 'c']);
      for (const name of ['a', 'b', 'c']) await wanted(name);
      // Record and replica come in either order.
      await expanded('a');
      await replica('a', 'westeurope');
      await replica('b', 'westeurope');
      expect(await told()).toEqual([`layer.expanded ${short('a')}`]);
      await expanded('b');
      expect(await told()).toEqual([`layer.expanded ${short('a')}`, `layer.expanded ${short('b')}`, `image.ready team/app@${short('app')} westeurope`]);
      expect((await events.after(began, { limit: 9 })).at(-1)!.data).toMatchObject({ repository: 'team/app', tags: ['v1'], digest: layer('app') });
      for (const name of ['b', 'a']) {
        await replica(name, 'eastus', 'wanted');
        await copied(name, 'eastus');
      }
      expect((await told()).slice(3)).toEqual([`layer.replicated ${short('b')} eastus`, `layer.replicated ${short('a')} eastus`, `image.ready team/app@${short('app')} eastus`]);
    });

    it('an image is recorded of which every layer is there already, and one of which the rest was refused', async () => {
      await wanted('a');
      await wanted('bad');
      await expanded('a');
      await replica('a', 'westeurope');
      await query(`UPDATE expanded_layers SET state = 'refused', refusal_code = 'X', refusal_message = 'x' WHERE digest = $1`, [layer('bad')]);
      await image('app', ['a']);
      await image('odd', ['a', 'bad']);
      await image('none', ['bad']);
      expect((await told()).slice(1)).toEqual([`image.ready team/app@${short('app')} westeurope`, `image.ready team/app@${short('odd')} westeurope`]);
    });

    it('a transaction stands, and not when it is undone', async () => {
      await dataSource().transaction(async (manager) => {
        await manager.query(`SELECT record_event('translocator.share.full', 'eastus', '{}')`);
        throw new Error('undone');
      }).catch((error: Error) => expect(error.message).toBe('undone'));
      await events.append({ type: 'translocator.region.drained', subject: 'eastus', data: { region: 'eastus' } });
      expect(await told()).toEqual(['region.drained eastus eastus']);
    });
  });

  describe('are read', () => {
    const append = async (subject: string, type: EventType = 'translocator.share.full'): Promise<void> => {
      await events.append({ type, subject, data: {} });
      await endBehindAll(dataSource());
    };

    it('from any place on, forwards and backwards, by type', async () => {
      for (const subject of ['a', 'b', 'c']) await append(subject);
      await append('d', 'translocator.region.drained');
      const all = await events.after(began, { limit: 9 });
      const subjects = (some: readonly OutwardEvent[]): string => some.map(({ subject }) => subject).join('');
      expect(subjects(all)).toBe('abcd');
      expect(subjects(await events.after(parsePosition(positionText(all[1]!.position))!, { limit: 1 }))).toBe('c');
      expect(subjects(await events.before(undefined, { limit: 2 }))).toBe('dc');
      expect(subjects(await events.before(all[2]!.position, { limit: 9 }))).toBe('ba');
      expect(subjects(await events.before(undefined, { limit: 9, types: ['translocator.region.drained'] }))).toBe('d');
      expect(subjects(await events.after(await events.end(), { limit: 9 }))).toBe('');
    });

    it('until they are old, or too many', async () => {
      for (const subject of ['a', 'b', 'c']) await append(subject);
      await query(`UPDATE events SET at = now() - interval '8 days' WHERE subject = 'a'`);
      const prune = (days: number, keepMax: number): Promise<number> => events.prune({ before: new Date(Date.now() - days * 86_400_000), keepMax, limit: 10 });
      expect([await prune(7, 10), await prune(7, 1), await prune(7, 1)]).toEqual([1, 1, 0]);
      expect((await events.after(began, { limit: 9 })).map(({ subject }) => subject)).toEqual(['c']);
    });
  });

  describe('are told to a webhook', () => {
    let deliveries: PostgresDeliveryStore;
    let receiver: Receiver;
    let tellings: string[];
    beforeEach(() => {
      deliveries = new PostgresDeliveryStore(dataSource());
      receiver = new Receiver();
      tellings = [];
    });
    const teller = (owner = OWNER, types?: readonly EventType[]): WebhookTeller =>
      new WebhookTeller({ webhook: { name: 'ops', types }, events, deliveries, sender: receiver, clock: new ManualClock(), owner, random: () => 0, onTelling: ({ outcome, event }: Telling) => tellings.push(`${outcome} ${event.subject}`) });
    const append = async (...subjects: readonly string[]): Promise<void> => {
      for (const subject of subjects) await events.append({ type: 'translocator.share.full', subject, data: {} });
      await endBehindAll(dataSource());
    };
    const waitOver = (): Promise<unknown> => query(`UPDATE webhook_deliveries SET not_before = '-infinity'`);

    it('in their order, once, from the moment when it is known', async () => {
      await append('before');
      expect(await teller().tell()).toBe('idle');
      await append('a', 'b', 'c');
      expect([await teller().tell(), await teller(OTHER).tell()]).toEqual(['idle', 'idle']);
      expect(receiver.taken).toEqual(['a', 'b', 'c']);
    });

    it('one after the other also when it fails: the next waits, and nothing is passed over', async () => {
      await teller().tell();
      await append('a', 'b');
      receiver.refuse = () => new WebhookRefused('it answered 500');
      expect([await teller().tell(), await teller().tell()]).toEqual(['waiting', 'waiting']);
      expect(tellings).toEqual(['failed a']);
      expect(await deliveries.list()).toMatchObject([{ webhook: 'ops', attempts: 1, lastError: 'it answered 500', notBefore: expect.any(Date) }]);
      receiver.refuse = undefined;
      await waitOver();
      expect(await teller(OTHER).tell()).toBe('idle');
      expect(receiver.taken).toEqual(['a', 'b']);
      expect(await deliveries.list()).toMatchObject([{ attempts: 0, lastError: undefined }]);
    });

    it('after as long as it asked for', async () => {
      await teller().tell();
      await append('a');
      receiver.refuse = () => new WebhookRefused('it answered 429', 90_000);
      await teller().tell();
      const [delivery] = await deliveries.list();
      expect(delivery!.notBefore!.getTime() - Date.now()).toBeGreaterThan(80_000);
    });

    it('not for ever: an event that it never takes is given up, and the next is told', async () => {
      await teller().tell();
      await append('poison', 'b');
      await query('UPDATE webhook_deliveries SET attempts = $1', [ATTEMPTS_MAX]);
      expect(await teller().tell()).toBe('idle');
      expect(tellings).toEqual(['given-up poison', 'told b']);
    });

    it('by one process at a time, and by another when that one has died', async () => {
      await teller().tell();
      await append('a');
      expect(await deliveries.claim('ops', OTHER, LEASE_MS)).toMatchObject({ attempts: 0 });
      expect([await teller().tell(), receiver.taken]).toEqual(['waiting', []]);
      await query(`UPDATE webhook_deliveries SET claim_expires_at = now() - interval '1 second'`);
      expect([await teller().tell(), receiver.taken]).toEqual(['idle', ['a']]);
      // Who comes back too late notes nothing.
      expect(await deliveries.told('ops', OTHER, { position: began, leaseMs: LEASE_MS })).toBe(false);
    });

    it('only of the types that it wants, and what it passed over is not looked at again', async () => {
      await teller(OWNER, ['translocator.region.drained']).tell();
      await append('a');
      await events.append({ type: 'translocator.region.drained', subject: 'eastus', data: {} });
      await append('b');
      expect(await teller(OWNER, ['translocator.region.drained']).tell()).toBe('idle');
      expect(receiver.taken).toEqual(['eastus']);
      const [delivery] = await deliveries.list();
      expect(await events.after(delivery!.position, { limit: 9 })).toEqual([]);
    });
  });

  it('have a position as text, and no other text is one', () => {
    expect(parsePosition('12-3')).toEqual({ transaction: '12', sequence: '3' });
    for (const text of ['', '12', '-', '12-', 'a-b', '1-2-3', '99999999999999999999-1', '1-9999999999999999999']) expect(parsePosition(text)).toBeUndefined();
    expect(new Set(EVENT_TYPES).size).toBe(EVENT_TYPES.length);
  });
});
