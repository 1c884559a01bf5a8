import { after } from '#clock';
import type { Digest } from '#oci';

import type { Lease } from '../lease.js';
import { type LeaseFilter, LeaseStore, LISTED_REPLICAS_MAX, type ListedLease } from '../lease-store.js';

/** Leases in memory. */
export class MemoryLeaseStore extends LeaseStore {
  readonly #leases = new Map<string, Lease>();
  readonly #ending = new Set<string>();
  /** Called before leases are written; rejecting makes the write fail, waiting holds it up. */
  beforeGrant: (leases: readonly Lease[]) => Promise<void> = async () => undefined;

  /** How many leases there are, those that ran out included. */
  get size(): number {
    return this.#leases.size;
  }

  async grantMany(leases: readonly Lease[]): Promise<void> {
    await this.beforeGrant(leases);
    for (const lease of leases) if (!this.#leases.has(lease.id)) this.#leases.set(lease.id, lease);
  }

  async renewMany(ids: readonly string[], now: Date, ttlMs: number): Promise<Map<string, Date>> {
    const renewed = new Map<string, Date>();
    for (const id of ids) {
      const lease = this.#leases.get(id);
      if (lease === undefined || lease.expiresAt <= now || this.#ending.has(id)) continue;
      const asked = after(now, ttlMs);
      const expiresAt = asked > lease.expiresAt ? asked : lease.expiresAt;
      this.#leases.set(id, { ...lease, expiresAt });
      renewed.set(id, expiresAt);
    }
    return renewed;
  }

  async endRenewals(layer: Digest, share: string, now: Date): Promise<number> {
    const holding = this.#holding(layer, share, now);
    for (const lease of holding) this.#ending.add(lease.id);
    return holding.length;
  }

  async release(id: string): Promise<void> {
    if (this.#leases.get(id)?.shared === false) this.#leases.delete(id);
  }

  async heldUntil(layer: Digest, share: string, now: Date): Promise<Date | undefined> {
    return this.#holding(layer, share, now)
      .map((lease) => lease.expiresAt)
      .toSorted((a, b) => b.getTime() - a.getTime())[0];
  }

  async leasedLayers(share: string, now: Date): Promise<Set<Digest>> {
    return new Set(this.#live(now).flatMap((lease) => lease.replicas.filter((replica) => replica.share === share).map((replica) => replica.layer)));
  }

  async countOn(share: string, now: Date): Promise<number> {
    return this.#live(now).filter((lease) => lease.replicas.some((replica) => replica.share === share)).length;
  }

  async page({ after: last = '', limit, filter = {} }: { readonly after?: string | undefined; readonly limit: number; readonly filter?: LeaseFilter }, now: Date): Promise<ListedLease[]> {
    const { region, share, layer } = filter;
    return this.#live(now)
      .filter((lease) => lease.id > last && (region === undefined || lease.region === region))
      .map((lease) => this.#listed(lease, filter))
      .filter(({ replicaCount }) => replicaCount > 0 || (share === undefined && layer === undefined))
      .toSorted((a, b) => (a.id < b.id ? -1 : 1))
      .slice(0, limit);
  }

  #listed(lease: Lease, { share, layer }: LeaseFilter): ListedLease {
    const named = new Map(lease.replicas.map((replica) => [`${replica.share} ${replica.layer}`, replica]));
    const matching = [...named].filter(([, replica]) => (share === undefined || replica.share === share) && (layer === undefined || replica.layer === layer));
    const replicas = matching.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, replica]) => replica).slice(0, LISTED_REPLICAS_MAX);
    return { ...lease, replicas, replicaCount: matching.length, renewable: !this.#ending.has(lease.id) };
  }

  async prune(before: Date, limit: number): Promise<number> {
    const old = [...this.#leases.values()].filter((lease) => lease.expiresAt < before)
      .toSorted((a, b) => a.expiresAt.getTime() - b.expiresAt.getTime()).slice(0, limit);
    for (const lease of old) this.#leases.delete(lease.id);
    return old.length;
  }

  #holding(layer: Digest, share: string, now: Date): Lease[] {
    return this.#live(now).filter((lease) => lease.replicas.some((replica) => replica.layer === layer && replica.share === share));
  }

  #live(now: Date): Lease[] {
    return [...this.#leases.values()].filter((lease) => lease.expiresAt > now);
  }
}
