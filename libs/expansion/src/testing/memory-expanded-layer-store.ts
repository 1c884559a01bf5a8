import type { Claimed, ClaimRequest, Postponement } from '#claims';
import { type MemoryListedWork, MemoryClaims, type MemoryWork, MemoryWorkList } from '#claims/testing';
import type { Digest } from '#oci';
import { LAYER_FILE_VERSION } from '#shares';

import type { ExpandedLayer } from '../expanded-layer.js';
import { ExpandedLayerStore, type ExpansionState, type LayerRecord, type LayerRefusal, type LayerSize, type LayerStanding, type ReferenceGrace, type WantedLayer } from '../expanded-layer-store.js';
import { PASSING_REFUSALS } from '../layer-media-types.js';
import { oneForEach, refusalOfWanted } from '../wanted-layers.js';

interface Row extends MemoryWork {
  layer: WantedLayer;
  state: ExpansionState;
  wantedAt: Date;
  readBytes: number;
  expanded?: { readonly layer: ExpandedLayer; readonly at: Date } | undefined;
  refusal?: LayerRefusal | undefined;
  unreferencedSince?: Date | undefined;
}

const ALWAYS = new Date(-8_640_000_000_000_000);

/** Expanded layers in memory. */
export class MemoryExpandedLayerStore extends ExpandedLayerStore {
  readonly #rows = new Map<Digest, Row>();
  readonly #work = new MemoryClaims<Row, WantedLayer>({
    rows: () => this.#rows.values(),
    isOpen: isUnderWay,
    isClaimable: (row) => !(row.layer.stacks ?? []).some((digest) => isUnderWay(this.#rows.get(digest))),
    order: (a, b) => b.layer.priority - a.layer.priority || a.wantedAt.getTime() - b.wantedAt.getTime() || (a.layer.digest < b.layer.digest ? -1 : 1),
    item: (row) => row.layer,
    begin: (row) => {
      row.state = 'expanding';
      row.readBytes = 0;
    },
    giveBack: (row) => {
      row.state = 'wanted';
    },
  });

  readonly #listed: Pick<MemoryListedWork<Row>, 'rows' | 'keyOf' | 'subjectOf' | 'wantedAt'> = {
    rows: () => this.#rows.values(), keyOf: ({ layer }) => [layer.digest], wantedAt: ({ wantedAt }) => wantedAt,
    subjectOf: ({ layer: { digest, stacks, repository } }) => ({ layer: digest, ...(stacks === undefined ? {} : { isView: true as const }), repository }),
  };
  readonly work = new MemoryWorkList<Row>({
    ...this.#listed,
    isOpen: isUnderWay,
    orderOf: ({ layer, wantedAt }) => [-layer.priority, wantedAt.getTime(), layer.digest],
    blockedBy: ({ layer }) => ((layer.stacks ?? []).some((digest) => isUnderWay(this.#rows.get(digest))) ? 'LAYERS_WANTED' : undefined),
  });
  readonly refused = new MemoryWorkList<Row>({
    ...this.#listed, isOpen: ({ state }) => state === 'refused', orderOf: ({ layer }) => [layer.digest], refusalOf: ({ refusal }) => `${refusal?.code}: ${refusal?.message}`,
  });

  claim(request: ClaimRequest): Promise<Claimed<WantedLayer>[]> {
    return this.#work.claim(request);
  }

  renew(claimIds: readonly string[], now: Date, leaseMs: number): Promise<Set<string>> {
    return this.#work.renew(claimIds, now, leaseMs);
  }

  release(claimId: string): Promise<boolean> {
    return this.#work.release(claimId);
  }

  postpone(claimId: string, postponement: Postponement): Promise<boolean> {
    return this.#work.postpone(claimId, postponement);
  }

  async want(layers: readonly WantedLayer[], now: Date): Promise<Set<Digest>> {
    const due = new Set<Digest>();
    for (const layer of oneForEach(layers).toSorted((a, b) => Number(a.stacks !== undefined) - Number(b.stacks !== undefined))) {
      const row = this.#rows.get(layer.digest);
      const refusal = refusalOfWanted(layer);
      if (row?.layer.stacks !== undefined && layer.stacks === undefined) continue;
      if (row === undefined || (refusal === undefined && this.#isWantedAnew(row, layer))) {
        const priority = Math.max(layer.priority, row?.layer.priority ?? layer.priority);
        const state = refusal === undefined ? 'wanted' : 'refused';
        this.#rows.set(layer.digest, { layer: { ...layer, priority }, state, refusal, wantedAt: now, readBytes: 0, attempts: 0, notBefore: ALWAYS });
        if (refusal === undefined) due.add(layer.digest);
      } else {
        const repository = refusal === undefined ? layer.repository : row.layer.repository;
        row.layer = { ...row.layer, repository, priority: Math.max(row.layer.priority, layer.priority) };
        row.unreferencedSince = undefined;
      }
    }
    return due;
  }

  async progress(claimId: string, readBytes: number): Promise<boolean> {
    const row = this.#work.held(claimId);
    if (row !== undefined) row.readBytes = readBytes;
    return row !== undefined;
  }

  async complete(claimId: string, expanded: ExpandedLayer, now: Date): Promise<boolean> {
    const row = this.#settle(claimId, 'expanded');
    if (row === undefined) return false;
    row.expanded = { layer: expanded, at: now };
    row.readBytes = row.layer.sizeBytes;
    return true;
  }

  async refuse(claimId: string, refusal: LayerRefusal): Promise<boolean> {
    const row = this.#settle(claimId, 'refused');
    if (row !== undefined) row.refusal = refusal;
    return row !== undefined;
  }

  async find(digests: readonly Digest[]): Promise<LayerRecord[]> {
    return [...new Set(digests)].flatMap((digest) => this.#rows.get(digest) ?? []).map(recordOf);
  }

  standingsAfter(after: Digest | undefined, limit: number): Promise<LayerStanding[]> {
    return this.page(after, limit);
  }

  async sizesAfter(after: Digest | undefined, limit: number): Promise<LayerSize[]> {
    return (await this.page(after, limit)).map(({ digest, state, expanded }) => ({ digest, state, ...(state === 'expanded' && expanded !== undefined ? { sizeBytes: expanded.vhd.sizeBytes } : {}) }));
  }

  async referencedAfter({ now, graceMs }: ReferenceGrace, after: Digest | undefined, limit: number): Promise<Digest[]> {
    const referenced = this.#sorted().filter((row) => row.unreferencedSince === undefined || row.unreferencedSince.getTime() > now.getTime() - graceMs);
    return referenced.map((row) => row.layer.digest).filter((digest) => after === undefined || digest > after).slice(0, limit);
  }

  async page(after: Digest | undefined, limit: number): Promise<LayerRecord[]> {
    return this.#sorted().filter((row) => after === undefined || row.layer.digest > after).slice(0, limit).map(recordOf);
  }

  async expandAgain(digest: Digest, now: Date): Promise<boolean> {
    const row = this.#rows.get(digest);
    if (row?.state !== 'expanded') return false;
    const isOld = row.expanded?.layer.writerVersion !== LAYER_FILE_VERSION;
    const views = isOld ? [...this.#rows.values()].filter((view) => (view.state === 'expanded' || view.state === 'expanding') && view.layer.stacks?.includes(digest) === true) : [];
    for (const again of [row, ...views]) {
      Object.assign(again, { state: 'wanted', wantedAt: now, expanded: undefined, claim: undefined, readBytes: 0, attempts: 0, notBefore: ALWAYS, lastError: undefined });
    }
    return true;
  }

  async markUnreferenced(digests: readonly Digest[], now: Date): Promise<void> {
    for (const digest of digests) {
      const row = this.#rows.get(digest);
      if (row !== undefined) row.unreferencedSince ??= now;
    }
  }

  async clearUnreferenced(digests: readonly Digest[]): Promise<void> {
    for (const digest of digests) {
      const row = this.#rows.get(digest);
      if (row !== undefined) row.unreferencedSince = undefined;
    }
  }

  async unreferencedFor({ now, graceMs }: ReferenceGrace, after: Digest | undefined, limit: number): Promise<Digest[]> {
    const old = this.#sorted().filter((row) => row.unreferencedSince !== undefined && row.unreferencedSince.getTime() <= now.getTime() - graceMs);
    return old.map((row) => row.layer.digest).filter((digest) => after === undefined || digest > after).slice(0, limit);
  }

  async forget(digest: Digest): Promise<boolean> {
    const row = this.#rows.get(digest);
    return row?.unreferencedSince !== undefined && row.claim === undefined && this.#rows.delete(digest);
  }

  async countByState(): Promise<Readonly<Record<ExpansionState, number>>> {
    const counts = { wanted: 0, expanding: 0, expanded: 0, refused: 0 };
    for (const row of this.#rows.values()) counts[row.state] += 1;
    return counts;
  }

  /** Whether a known row is wanted as if it were new: its refusal passes, or it was taken for a layer and is a view. */
  #isWantedAnew(row: Row, { stacks }: WantedLayer): boolean {
    const passes = PASSING_REFUSALS.includes(row.refusal?.code ?? '');
    if (stacks === undefined) return passes;
    const areGood = stacks.every((digest) => (this.#rows.get(digest)?.state ?? 'refused') !== 'refused');
    return areGood && (row.layer.stacks === undefined ? row.state !== 'expanded' : passes);
  }

  #sorted(): Row[] {
    return [...this.#rows.values()].toSorted((a, b) => (a.layer.digest < b.layer.digest ? -1 : 1));
  }

  #settle(claimId: string, state: 'expanded' | 'refused'): Row | undefined {
    const row = this.#work.held(claimId);
    if (row === undefined) return undefined;
    row.state = state;
    row.claim = undefined;
    row.lastError = undefined;
    return row;
  }
}

function isUnderWay(row: Row | undefined): boolean {
  return row?.state === 'wanted' || row?.state === 'expanding';
}

function recordOf(row: Row): LayerRecord {
  return {
    ...row.layer,
    state: row.state,
    wantedAt: row.wantedAt,
    readBytes: row.readBytes,
    attempts: row.attempts,
    ...(row.expanded === undefined ? {} : { expanded: row.expanded.layer, expandedAt: row.expanded.at }),
    ...(row.refusal === undefined ? {} : { refusal: row.refusal }),
    ...(row.unreferencedSince === undefined ? {} : { unreferencedSince: row.unreferencedSince }),
    ...(row.lastError === undefined ? {} : { lastError: row.lastError }),
  };
}
