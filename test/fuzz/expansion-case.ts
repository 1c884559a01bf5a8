import { gzipSync, zstdCompressSync } from 'node:zlib';

import { type ExpandedLayer, ExpansionError, type ExpansionErrorCode, type ExpansionLimits } from '#expansion';
import { expandBytes, layerOf, skippable } from '#expansion/testing';
import { MiB } from '#quantities';
import { layerFilePath } from '#shares';
import { MemoryShare } from '#shares/testing';

import { mutatedTar } from './mutate-tar.js';
import { Random } from './random.js';

/** Small enough that every case is cheap, and that cases reach them. */
const LIMITS: Partial<ExpansionLimits> = { maxBlobBytes: 16 * MiB, maxUncompressedBytes: 64 * MiB, maxEntries: 1000, maxNameBytes: MiB };
/** A case that takes longer is taken for one that does not end: the slowest take some tens of milliseconds. */
const MAX_CASE_MS = 5000;

/** Codes of refusals that are about one entry. */
const ABOUT_ENTRIES: ReadonlySet<ExpansionErrorCode> = new Set<ExpansionErrorCode>(['ENTRY_UNSUPPORTED', 'LINK_TARGET_MISSING', 'LAYER_UNSUPPORTED']);
const REFUSALS: ReadonlySet<ExpansionErrorCode> = new Set<ExpansionErrorCode>([...ABOUT_ENTRIES, 'TAR_INVALID', 'COMPRESSION_INVALID', 'TOO_LARGE']);

/** One blob to expand, how it comes, and the tar that it comes to if to any. */
export interface FuzzCase {
  readonly tar: Buffer;
  readonly blob: Buffer;
  readonly chunkBytes: number;
}

/** What became of a case: a refusal's code, or the layer with the share that holds it. */
export type FuzzOutcome =
  | { readonly kind: 'refused'; readonly code: ExpansionErrorCode }
  | { readonly kind: 'expanded'; readonly expanded: ExpandedLayer; readonly share: MemoryShare };

/** The case of a number: always the same. */
export function caseOf(seed: number): FuzzCase {
  const random = new Random(seed);
  const tar = mutatedTar(random);
  return { ...storedForm(random, tar), chunkBytes: random.pick([1, 7, 511, 513, 4096, 1_000_000]) };
}

/**
 * Expands a case and holds the outcome against what every expansion promises: a coded and final refusal that leaves nothing, or one file under its final
 * name with a whole record; and an end.
 * @throws {Error} that says which promise was broken.
 */
export async function runCase({ blob, chunkBytes }: FuzzCase): Promise<FuzzOutcome> {
  const share = new MemoryShare({ name: 'home' });
  const layer = layerOf(blob);
  const startedAt = performance.now();
  let outcome: FuzzOutcome;
  try {
    const { expanded } = await expandBytes(layer, { share, limits: LIMITS, chunkBytes: Math.max(chunkBytes, Math.ceil(blob.length / 5000)) });
    outcome = { kind: 'expanded', expanded, share };
  } catch (error) {
    outcome = { kind: 'refused', code: refusalOf(error) };
  }
  const tookMs = performance.now() - startedAt;
  if (tookMs > MAX_CASE_MS) throw new Error(`it took ${tookMs} ms`);
  const expected = outcome.kind === 'expanded' ? [layerFilePath(layer.layer.digest, outcome.expanded.writerVersion)] : [];
  if (share.paths.join() !== expected.join()) throw new Error(`it left ${share.paths.join(', ') || 'nothing'} on the share`);
  if (outcome.kind === 'expanded') await checkRecord(outcome, share);
  return outcome;
}

function refusalOf(error: unknown): ExpansionErrorCode {
  if (!(error instanceof ExpansionError)) throw new Error('it threw something that is no refusal', { cause: error });
  if (error.transient || !REFUSALS.has(error.code)) throw new Error(`it ended in ${error.code}`, { cause: error });
  if (ABOUT_ENTRIES.has(error.code) && typeof error.details.entry !== 'string') throw new Error(`its ${error.code} names no entry`, { cause: error });
  return error.code;
}

async function checkRecord({ expanded }: { readonly expanded: ExpandedLayer }, share: MemoryShare): Promise<void> {
  const file = await share.stat(layerFilePath(expanded.digest, expanded.writerVersion));
  if (file?.sizeBytes !== expanded.vhd.sizeBytes) throw new Error('its file has another size than its record says');
  if (expanded.vhd.sizeBytes % 512 !== 0 || expanded.entryCount > 1000) throw new Error('its record cannot be true');
}

/** The tar as a registry may hold it; sometimes a form that is not whole. */
function storedForm(random: Random, tar: Buffer): { readonly tar: Buffer; readonly blob: Buffer } {
  const blob = compressed(random, tar);
  if (blob === tar || blob.length === 0 || !random.oneIn(10)) return { tar, blob };
  if (random.oneIn(2)) return { tar, blob: blob.subarray(0, random.below(blob.length)) };
  blob[random.below(blob.length)]! ^= 1 << random.below(8);
  return { tar, blob };
}

/** The tar itself, or a stream that comes to it. */
function compressed(random: Random, tar: Buffer): Buffer {
  const cut = random.below(tar.length + 1);
  switch (random.below(6)) {
    case 0: return gzipSync(tar, { level: 1 });
    case 1: return Buffer.concat([gzipSync(tar.subarray(0, cut), { level: 1 }), gzipSync(tar.subarray(cut), { level: 0 })]);
    case 2: return Buffer.concat([zstdCompressSync(tar.subarray(0, cut)), skippable(Buffer.alloc(random.below(20))), zstdCompressSync(tar.subarray(cut))]);
    default: return tar;
  }
}
