import { randomUUID } from 'node:crypto';

import { beforeEach, describe, expect, it } from 'vitest';

import type { ServiceTokenStore, TokenCursor } from '../service-token-store.js';
import { aKeptToken } from './service-token-builder.js';

const day = (count: number): Date => new Date(Date.UTC(2026, 0, 1 + count));

/** Checks that an implementation keeps the contract of {@link ServiceTokenStore}; `open` gives an empty store for every test. */
export function serviceTokenStoreConformance(name: string, open: () => ServiceTokenStore): void {
  describe(`${name} keeps the contract of a store of service tokens`, () => {
    let store: ServiceTokenStore;
    beforeEach(() => {
      store = open();
    });

    it('gives back what was stored, field by field, its lists in order', async () => {
      const kept = aKeptToken({ scopes: ['leases', 'lookup', 'lookup'], repositories: ['team/*', 'base', 'base'], regions: ['westeurope', 'eastus'] });
      const plain = aKeptToken({ createdAt: day(1) });
      const stored = { ...kept.token, scopes: ['lookup', 'leases'], repositories: ['base', 'team/*'], regions: ['eastus', 'westeurope'] };
      expect(await store.create(kept)).toEqual(stored);
      await store.create(plain);
      expect(await store.get(kept.token.id)).toEqual(stored);
      expect(await store.get(plain.token.id)).toEqual(plain.token);
      for (const id of [randomUUID(), 'no id at all']) expect(await store.get(id)).toBeUndefined();
      const { tokens } = await store.read();
      expect(tokens.map(({ token, secretHash }) => [token, Buffer.from(secretHash).toString('hex')])).toEqual(
        expect.arrayContaining([[stored, Buffer.from(kept.secretHash).toString('hex')], [plain.token, Buffer.from(plain.secretHash).toString('hex')]]),
      );
    });

    it('refuses an invalid token and stores nothing', async () => {
      await expect(store.create(aKeptToken({ scopes: [] }))).rejects.toMatchObject({ code: 'TOKEN_INVALID', details: { field: 'scopes' } });
      expect(await store.list({ limit: 10 })).toEqual([]);
    });

    it('has another version after every creation, revocation and removal, and the same one after everything else', async () => {
      const seen = [await store.version()];
      const kept = aKeptToken();
      await store.create(kept);
      seen.push(await store.version());
      await store.revoke(kept.token.id, day(2));
      seen.push(await store.version());
      await store.noteUses(new Map([[kept.token.id, day(1)]]));
      await store.revoke(kept.token.id, day(3));
      expect(await store.version()).toBe(seen[2]);
      expect((await store.read()).version).toBe(seen[2]);
      expect(await store.prune(day(3), 10)).toBe(1);
      seen.push(await store.version());
      expect(new Set(seen).size).toBe(4);
    });

    it('revokes for good, once, and reads the token no more', async () => {
      const kept = aKeptToken();
      await store.create(kept);
      expect(await store.revoke(kept.token.id, day(1))).toEqual({ ...kept.token, revokedAt: day(1) });
      expect(await store.revoke(kept.token.id, day(2))).toEqual({ ...kept.token, revokedAt: day(1) });
      expect(await store.revoke(randomUUID(), day(1))).toBeUndefined();
      expect(await store.revoke('no id at all', day(1))).toBeUndefined();
      expect((await store.read()).tokens).toEqual([]);
      expect(await store.list({ limit: 10 })).toEqual([{ ...kept.token, revokedAt: day(1) }]);
    });

    it('notes the latest use, and none of a token that it does not have', async () => {
      const { token, secretHash } = aKeptToken();
      await store.create({ token, secretHash });
      await store.noteUses(new Map([[token.id, day(2)], [randomUUID(), day(2)], ['no id at all', day(2)]]));
      await store.noteUses(new Map([[token.id, day(1)]]));
      expect(await store.get(token.id)).toEqual({ ...token, lastUsedAt: day(2) });
    });

    it('lists each token once over pages, the oldest first, ties by id', async () => {
      const all = [2, 1, 1, 0, 1].map((at) => aKeptToken({ createdAt: day(at) }));
      for (const kept of all) await store.create(kept);
      const seen: string[] = [];
      for (let after: TokenCursor | undefined; ;) {
        const page = await store.list({ after, limit: 2 });
        seen.push(...page.map((token) => token.id));
        after = page.at(-1);
        if (page.length < 2) break;
      }
      const inOrder = all.map(({ token }) => token).toSorted((a, b) => a.createdAt.getTime() - b.createdAt.getTime() || (a.id < b.id ? -1 : 1));
      expect(seen).toEqual(inOrder.map((token) => token.id));
    });

    it('removes what ended long ago, by either end, and nothing else', async () => {
      const [lasting, expired, revoked, justRevoked] = [aKeptToken(), aKeptToken({ expiresAt: day(2) }), aKeptToken(), aKeptToken()];
      for (const kept of [lasting, expired, revoked, justRevoked]) await store.create(kept);
      await store.revoke(revoked.token.id, day(3));
      await store.revoke(justRevoked.token.id, day(8));
      expect(await store.prune(day(5), 1)).toBe(1);
      expect(await store.prune(day(5), 10)).toBe(1);
      expect(await store.prune(day(5), 10)).toBe(0);
      expect((await store.list({ limit: 10 })).map((token) => token.id).toSorted()).toEqual([lasting.token.id, justRevoked.token.id].toSorted());
    });
  });
}
