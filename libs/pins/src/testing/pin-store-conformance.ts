import { randomUUID } from 'node:crypto';

import { beforeEach, describe, expect, it } from 'vitest';

import { digestOf } from '#oci';

import { listActivePins, type PinCursor, type PinStore } from '../pin-store.js';
import { aPin } from './pin-builder.js';

const at = (minute: number): Date => new Date(Date.UTC(2026, 0, 1, 0, minute));

/** Checks that an implementation keeps the contract of {@link PinStore}; `open` gives an empty store for every test. */
export function pinStoreConformance(name: string, open: () => PinStore): void {
  describe(`${name} keeps the contract of a pin store`, () => {
    let store: PinStore;
    beforeEach(() => {
      store = open();
    });

    it('gives back what was stored, field by field', async () => {
      const byTag = aPin({ regions: ['westeurope', 'eastus', 'eastus'], priority: -100, expiresAt: at(9), note: 'for the launch' });
      const byDigest = aPin({ reference: { kind: 'digest', digest: digestOf('image') } });
      expect(await store.create(byTag)).toEqual({ created: true, pin: { ...byTag, regions: ['eastus', 'westeurope'] } });
      await store.create(byDigest);
      expect(await store.get(byTag.id)).toEqual({ ...byTag, regions: ['eastus', 'westeurope'] });
      expect(await store.get(byDigest.id)).toEqual(byDigest);
      expect(await store.get(randomUUID())).toBeUndefined();
    });

    it('makes one pin of a repeated creation, and keeps the first author', async () => {
      const pin = aPin();
      await store.create(pin);
      const again = await store.create({ ...pin, createdAt: at(5), createdBy: 'somebody else' });
      expect(again).toEqual({ created: false, pin });
      expect((await store.list({ limit: 10 })).pins).toEqual([pin]);
    });

    it('makes one pin of creations at the same instant', async () => {
      const pin = aPin();
      const answers = await Promise.all(Array.from({ length: 6 }, () => store.create(pin)));
      expect(answers.filter((answer) => answer.created)).toHaveLength(1);
    });

    it('refuses another pin under an id that is taken', async () => {
      const pin = aPin();
      await store.create(pin);
      await expect(store.create({ ...pin, priority: 5 })).rejects.toMatchObject({ code: 'PIN_CONFLICT' });
      expect(await store.get(pin.id)).toEqual(pin);
    });

    it('refuses an invalid pin and stores nothing', async () => {
      await expect(store.create(aPin({ priority: 101 }))).rejects.toMatchObject({ code: 'PIN_INVALID', details: { field: 'priority' } });
      expect((await store.list({ limit: 10 })).pins).toEqual([]);
    });

    it('deletes once', async () => {
      const { id } = (await store.create(aPin())).pin;
      expect(await store.delete(id)).toBe(true);
      expect(await store.delete(id)).toBe(false);
      expect(await store.delete('no id at all')).toBe(false);
      expect(await store.get('no id at all')).toBeUndefined();
    });

    it('lists each pin once over pages, the oldest first, ties by id', async () => {
      const pins = [3, 1, 1, 2, 1].map((minute) => aPin({ createdAt: at(minute) }));
      for (const pin of pins) await store.create(pin);
      const seen: string[] = [];
      let after: PinCursor | undefined;
      do {
        const page = await store.list({ limit: 2, ...(after === undefined ? {} : { after }) });
        seen.push(...page.pins.map((pin) => pin.id));
        after = page.next;
      } while (after !== undefined);
      const inOrder = pins.toSorted((a, b) => a.createdAt.getTime() - b.createdAt.getTime() || (a.id < b.id ? -1 : 1)).map((pin) => pin.id);
      expect(seen).toEqual(inOrder);
    });

    it('lists by repository, by region and by what still holds', async () => {
      const here = aPin({ createdAt: at(0), regions: ['eastus', 'westeurope'] });
      const other = aPin({ createdAt: at(1), repository: 'team/other', regions: ['westeurope'] });
      const ending = aPin({ createdAt: at(2), expiresAt: at(10) });
      for (const pin of [here, other, ending]) await store.create(pin);
      const ids = async (query: Parameters<PinStore['list']>[0]): Promise<string[]> => (await store.list(query)).pins.map((pin) => pin.id);
      expect(await ids({ limit: 10, repository: 'team/other' })).toEqual([other.id]);
      expect(await ids({ limit: 10, region: 'eastus' })).toEqual([here.id, ending.id]);
      expect(await ids({ limit: 10, region: 'eastus', activeAt: at(10) })).toEqual([here.id]);
      expect(await ids({ limit: 10, region: 'eastus', activeAt: at(9) })).toEqual([here.id, ending.id]);
      expect((await listActivePins(store, at(10))).map((pin) => pin.id)).toEqual([here.id, other.id]);
    });

    it('prunes what expired, the oldest expiry first, and nothing else', async () => {
      const lasting = aPin();
      const early = aPin({ expiresAt: at(5) });
      const late = aPin({ expiresAt: at(6) });
      const open = aPin({ expiresAt: at(30) });
      for (const pin of [lasting, late, early, open]) await store.create(pin);
      expect(await store.pruneExpired(at(20), 1)).toBe(1);
      expect(await store.get(early.id)).toBeUndefined();
      expect(await store.pruneExpired(at(20), 10)).toBe(1);
      expect(await store.pruneExpired(at(20), 10)).toBe(0);
      expect((await store.list({ limit: 10 })).pins.map((pin) => pin.id).toSorted()).toEqual([lasting.id, open.id].toSorted());
    });
  });
}
