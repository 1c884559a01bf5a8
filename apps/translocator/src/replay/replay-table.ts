import { type HitCount, hitRatio, type RegionScore, type ReplayScore } from '#placement';
import { GB } from '#quantities';

const HEADINGS = ['policy', 'region', 'hits', 'worst region', 'first pull', '24 h after push', 'foreseeable', 'WAN GB', 'replicated', 'fallback', 'wasted', 'stored GB·h', 'USD', 'plan ms p50'];

/** A table of scores, for people: a line for each policy, and with more than one region one for each of these. */
export function tableOfScores(scores: readonly ReplayScore[]): string {
  const rows = scores.flatMap((score) => [score.total, ...(score.regions.length > 1 ? score.regions : [])].map((region, n) => rowOf(score, region, n === 0)));
  const widths = HEADINGS.map((heading, column) => Math.max(heading.length, ...rows.map((row) => row[column]!.length)));
  return [HEADINGS, ...rows].map((row) => row.map((cell, column) => (column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join('  ').trimEnd()).join('\n');
}

function rowOf(score: ReplayScore, region: RegionScore, isTotal: boolean): string[] {
  const gigabytes = (bytes: number): string => (bytes / GB).toFixed(1);
  const sorted = score.planMs.toSorted((a, b) => a - b);
  return [
    isTotal ? score.policy : '', region.region,
    ratioText(region.all, 4), isTotal && region.all.pulls > 0 ? score.worstHitRatio.toFixed(4) : '-',
    ...[region.first, region.fresh, region.late].map((count) => ratioText(count, 4)),
    gigabytes(region.replicatedBytes + region.fallbackBytes), gigabytes(region.replicatedBytes), gigabytes(region.fallbackBytes), gigabytes(region.wastedBytes),
    gigabytes(region.storedByteHours), region.usd.toFixed(2),
    isTotal && sorted.length > 0 ? sorted[sorted.length >> 1]!.toFixed(1) : '-',
  ];
}

/** Hits for each pull with so many digits; a dash where nothing was pulled, of which nothing can be said. */
export function ratioText(count: HitCount, digits: number): string {
  return count.pulls === 0 ? '-' : hitRatio(count).toFixed(digits);
}
