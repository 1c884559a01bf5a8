import type { Clock } from '#clock';
import type { Digest } from '#oci';
import { SECOND_MS } from '#quantities';
import { type ByteRange, type CopySource, type Crc64, pieceRange, type Share, ShareError } from '#shares';

import type { GrantedSource } from './copy-sources.js';
import type { FanOutSeat } from './fan-out.js';
import type { LinkBudget } from './link-budget.js';
import type { PieceSet } from './piece-set.js';
import { ReplicationError } from './replication-error.js';
import type { LayerRecord } from './replication-ports.js';

/** How often at most the progress of one copy is written down. */
export const COPY_PROGRESS_MS = SECOND_MS;
/** How often one piece is copied within one try of its file: what a way spoilt comes right the next time, what a source's file has wrong does not. */
export const PIECE_TRIES_MAX = 3;
/** How many of those may fail to read a source at all: the driver has tried each of them several times. */
const UNREAD_MAX = 2;

/** One file being filled from its sources. */
export interface PieceCopy {
  readonly record: LayerRecord;
  /** Best first, at least one. */
  readonly sources: readonly GrantedSource[];
  readonly target: Share;
  /** The partial file on `target`; it exists, with its full size. */
  readonly path: string;
  /** Pieces that are there and verified; grows, unless one of them is doubted. */
  readonly done: PieceSet;
  /** Its part in a fan-out: relays come before `sources`. Absent: there are none. */
  readonly seat?: FanOutSeat | undefined;
  /** Told of relays that gave wrong bytes. */
  readonly onSuspect?: ((suspect: SuspectRelay) => void) | undefined;
  readonly budget: LinkBudget;
  readonly clock: Clock;
  /** Pieces under way at the same time. */
  readonly concurrency: number;
  /** Called after a verified piece, at most every {@link COPY_PROGRESS_MS}, never twice at once. What it throws ends the copy. */
  readonly onProgress: () => Promise<void>;
  /** Called when every piece was asked for and one of the last came, while the others are under way; again when pieces are copied again. Must not throw. */
  readonly onAllAsked?: (() => void) | undefined;
}

/** A replica that gave others wrong bytes for a piece which was right when it was copied: its share, or the way from it, is at fault. */
export interface SuspectRelay {
  readonly layer: Digest;
  /** That gave them. */
  readonly share: string;
  /** That got them. */
  readonly target: string;
  readonly piece: number;
  /** CRC64. */
  readonly expected: Crc64 | null;
  readonly got: Crc64;
}

/**
 * Copies every piece that is neither a hole nor done, and compares each with the record. The first failure ends all of them, and is thrown
 * when none is under way any more.
 */
export async function copyPieces(copy: PieceCopy, signal: AbortSignal): Promise<void> {
  // Pieces that others doubted meanwhile are copied again.
  do await copyMissing(copy, signal); while (isMissing(copy));
}

function isMissing(copy: PieceCopy): boolean {
  return missingPieces(copy).next().done !== true;
}

async function copyMissing(copy: PieceCopy, signal: AbortSignal): Promise<void> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const missing = missingPieces(copy);
  let writtenDownAtMs = copy.clock.now().getTime();
  let writing = false;
  let toldAllAsked = false;
  const tellAllAsked = (): void => {
    if (!toldAllAsked) copy.onAllAsked?.();
    toldAllAsked = true;
  };
  const lane = async (): Promise<void> => {
    let copied = false;
    for (const piece of missing) {
      either.throwIfAborted();
      await copyPiece(copy, piece, either);
      copy.done.add(piece);
      copied = true;
      copy.seat?.brought();
      if (writing || isRecent(writtenDownAtMs, copy.clock.now().getTime())) continue;
      writing = true;
      await copy.onProgress();
      writing = false;
      writtenDownAtMs = copy.clock.now().getTime();
    }
    if (copied) tellAllAsked();
  };
  let first: { readonly error: unknown } | undefined;
  const lanes = Array.from({ length: copy.concurrency }, () =>
    lane().catch((error: unknown) => {
      first ??= { error };
      failed.abort(error);
    }),
  );
  await Promise.all(lanes);
  if (first !== undefined) throw first.error;
  tellAllAsked();
}

/** A clock that stepped back must not keep progress from being written down. */
function isRecent(atMs: number, nowMs: number): boolean {
  return Math.abs(nowMs - atMs) < COPY_PROGRESS_MS;
}

/** All lanes draw from the one generator, so that each piece is copied by one of them. */
function* missingPieces({ record, done }: PieceCopy): Generator<number, void> {
  for (let piece = 0; piece < record.pieceCrc64s.length; piece += 1) if (record.pieceCrc64s[piece] !== null && !done.has(piece)) yield piece;
}

/** What one try of one piece gave: the CRC64 of what was written, or the failure of the source. */
interface PieceTry {
  readonly source: string;
  readonly got: string;
  readonly error?: ShareError | ReplicationError;
}

/**
 * One piece: from the relay that the fan-out names, if it does and that gives the right bytes; otherwise from a share that has the layer ready. A relay may
 * vanish, fall silent or be wrong at any time: that ends no copy.
 */
async function copyPiece(copy: PieceCopy, piece: number, signal: AbortSignal): Promise<void> {
  for (let relay = await copy.seat?.relayWith(piece, signal); relay !== undefined; relay = await copy.seat?.relayWith(piece, signal)) {
    if (await copyFromRelay(copy, { relay, piece }, signal)) return;
    copy.seat?.bar(relay);
  }
  await copyFromSource(copy, piece, signal);
}

/** @returns whether the piece is there, and right. */
async function copyFromRelay(copy: PieceCopy, { relay, piece }: { readonly relay: FanOutSeat; readonly piece: number }, signal: AbortSignal): Promise<boolean> {
  const expected = copy.record.pieceCrc64s[piece] ?? null;
  const tried = new Set<GrantedSource>();
  // While it was tried under one name it may have got another.
  for (let source = relay.sources[0]; source !== undefined; source = relay.sources.find((one) => !tried.has(one))) {
    tried.add(source);
    const { got, error } = await tryRelay(copy, { source, piece }, signal);
    if (got === expected) return true;
    if (error !== undefined) continue;
    relay.doubt(piece);
    copy.onSuspect?.({ layer: relay.member.layer, share: relay.name, target: copy.target.name, piece, expected, got });
    return false;
  }
  return false;
}

/** The bytes of a link's day may be used up on the way from the relay, and not on others. */
async function tryRelay(copy: PieceCopy, { source, piece }: { readonly source: GrantedSource; readonly piece: number }, signal: AbortSignal): Promise<PieceTry> {
  try {
    return await tryPiece(copy, source, pieceRange(piece, copy.record.vhd.sizeBytes), signal);
  } catch (error) {
    if (!(error instanceof ReplicationError) || error.code !== 'LINK_BUDGET_USED') throw error;
    return { source: source.share.name, got: error.code, error };
  }
}

/**
 * One piece, from the best source, then from the next one, and in turn again up to {@link PIECE_TRIES_MAX} times; each time with a new grant where a source
 * could not be read. Nothing is believed: the piece is there when what was written has the record's CRC64.
 */
async function copyFromSource(copy: PieceCopy, piece: number, signal: AbortSignal): Promise<void> {
  const { record, sources, target } = copy;
  const tries: PieceTry[] = [];
  for (let unreadCount = 0; tries.length < PIECE_TRIES_MAX && unreadCount < UNREAD_MAX;) {
    const source = sources[tries.length % sources.length];
    if (source === undefined) throw new ReplicationError('NO_SOURCE', 'a copy needs a source', { transient: true });
    const one = await tryPiece(copy, source, pieceRange(piece, record.vhd.sizeBytes), signal);
    if (one.got === record.pieceCrc64s[piece]) return;
    tries.push(one);
    if (one.error !== undefined) unreadCount += 1;
  }
  const unread = tries.at(-1)?.error;
  if (unread !== undefined && tries.every((one) => one.error !== undefined)) throw unread;
  const from = tries.map((one) => `${one.source}: ${one.got}`).join(', ');
  throw new ReplicationError('PIECE_MISMATCH', `piece ${piece} on ${target.name} should be ${record.pieceCrc64s[piece]}, but from ${from}`, {
    details: { piece, share: target.name, expected: record.pieceCrc64s[piece], tries: tries.map(({ source, got }) => ({ source, got })) },
  });
}

async function tryPiece(copy: PieceCopy, source: GrantedSource, range: ByteRange, signal: AbortSignal): Promise<PieceTry> {
  await copy.budget.take({ from: source.share.region, to: copy.target.region }, range.length, signal);
  let grant: CopySource | undefined;
  try {
    grant = await source.grant();
    return { source: source.share.name, got: await copy.target.copyRange(copy.path, range, grant, signal) };
  } catch (error) {
    // Whatever keeps a source from granting is the source's failure; of what comes after, only this is.
    if (!(error instanceof ShareError) || (grant !== undefined && error.code !== 'COPY_SOURCE_FAILED')) throw error;
    source.drop();
    return { source: source.share.name, got: error.code, error };
  }
}
