import type { Digest } from '#oci';

import type { DrainOrder, ReplicaStore } from './replica-store.js';
import type { LayerReferences, ReleasableLayer, ReleasableLayers } from './replication-ports.js';

/** Layers that are looked at together: one question to each store for each of these many. */
export const RELEASE_PAGE_LAYERS = 500;

/** What {@link releaseLayers} works with. */
export interface ReleasePorts {
  readonly layers: ReleasableLayers;
  readonly references: LayerReferences;
  readonly replicas: ReplicaStore;
}

/** When layers are released. */
export interface ReleaseTerms {
  readonly now: Date;
  /** How long a layer stays after the last reference to it went. */
  readonly unreferencedGraceMs: number;
  /** As {@link DrainOrder.graceMs}. */
  readonly drainGraceMs: number;
}

/** What one sweep did, in layers. */
export interface ReleaseReport {
  /** Found unreferenced for the first time, or still within their grace time. */
  readonly unreferenced: number;
  /** Whose replicas are draining everywhere. */
  readonly draining: number;
  /** Whose record ended. */
  readonly forgotten: number;
  /** Referenced again while all its replicas drained: some are ready again. */
  readonly recalled: number;
  /** Referenced, expanded, but on no share: to be expanded again. */
  readonly expandedAgain: number;
}

/**
 * Looks at every known layer. One that no image refers to is noted; when that has been so for the grace time, its replicas drain everywhere, and when
 * none is left its record ends. One that is referred to while all its replicas drain has them recalled; one of which none is left is expanded again. Idempotent; it may end anywhere, and
 * the next sweep goes on. References are asked for anew right before anything drains.
 */
export async function releaseLayers(ports: ReleasePorts, terms: ReleaseTerms, signal?: AbortSignal): Promise<ReleaseReport> {
  const noted = await noteReferences(ports, terms, signal);
  const released = await releaseOverdue(ports, terms, signal);
  return { ...noted, ...released };
}

async function noteReferences(
  { layers, references, replicas }: ReleasePorts,
  { now }: ReleaseTerms,
  signal?: AbortSignal,
): Promise<Pick<ReleaseReport, 'unreferenced' | 'recalled' | 'expandedAgain'>> {
  let [unreferenced, recalled, expandedAgain] = [0, 0, 0];
  for await (const page of pages((after) => layers.page(after, RELEASE_PAGE_LAYERS), (layer) => layer.digest, signal)) {
    const referenced = await references.referenced(page.map((layer) => layer.digest));
    const without = page.filter((layer) => !referenced.has(layer.digest));
    unreferenced += without.length;
    await layers.markUnreferenced(digestsOf(without.filter((layer) => layer.unreferencedSince === undefined)), now);
    await layers.clearUnreferenced(digestsOf(page.filter((layer) => referenced.has(layer.digest) && layer.unreferencedSince !== undefined)));
    const expanded = page.filter((layer) => layer.expanded && referenced.has(layer.digest));
    // What only drains is still there: it is recalled, or expanded again when its file is gone, for no expansion writes where a removal is under way.
    const there = (await replicas.find(digestsOf(expanded))).filter((replica) => replica.readyAt !== undefined);
    const somewhere = new Set(there.map((replica) => replica.layer));
    const ready = new Set(there.flatMap((replica) => (replica.state === 'ready' ? replica.layer : [])));
    for (const digest of somewhere) if (!ready.has(digest) && (await replicas.recall(digest, 'an image refers to it again')) > 0) recalled += 1;
    for (const { digest } of expanded) if (!somewhere.has(digest) && (await layers.expandAgain(digest, now))) expandedAgain += 1;
  }
  return { unreferenced, recalled, expandedAgain };
}

async function releaseOverdue(
  { layers, references, replicas }: ReleasePorts,
  terms: ReleaseTerms,
  signal?: AbortSignal,
): Promise<Pick<ReleaseReport, 'draining' | 'forgotten'>> {
  let [draining, forgotten] = [0, 0];
  const { now, unreferencedGraceMs, drainGraceMs } = terms;
  const grace = { now, graceMs: unreferencedGraceMs };
  const order: DrainOrder = { reason: 'no image refers to it', now, graceMs: drainGraceMs };
  for await (const page of pages((after) => layers.unreferencedFor(grace, after, RELEASE_PAGE_LAYERS), (digest) => digest, signal)) {
    const referenced = await references.referenced(page);
    for (const digest of page.filter((overdue) => !referenced.has(overdue))) {
      if ((await replicas.drainUnreferenced(digest, order)) > 0) draining += 1;
      else if (await layers.forget(digest)) forgotten += 1;
    }
  }
  return { draining, forgotten };
}

function digestsOf(layers: readonly ReleasableLayer[]): Digest[] {
  return layers.map((layer) => layer.digest);
}

/** All pages of a list that is read by key; between two of them `signal` may end it. */
async function* pages<Row>(
  read: (after: Digest | undefined) => Promise<Row[]>,
  keyOf: (row: Row) => Digest,
  signal?: AbortSignal,
): AsyncGenerator<Row[], void> {
  for (let after: Digest | undefined; ;) {
    signal?.throwIfAborted();
    const page = await read(after);
    const last = page.at(-1);
    if (last === undefined) return;
    yield page;
    after = keyOf(last);
  }
}
