import { MINUTE_MS } from '#quantities';

import { caseOf, runCase } from './expansion-case.js';
import { checkFilesystem } from './filesystem-checks.js';

/** Of the layers that were expanded, one in so many is looked at by other programs: that takes a hundred times as long as expanding it. */
const CASES_PER_CHECK = 25;
/** Memory that the process may take: cases are small, so what grows beyond this is kept by something. */
const MAX_RSS_BYTES = 1024 * 2 ** 20;

/** What a campaign shall do. */
export interface Campaign {
  readonly firstSeed: number;
  readonly minutes: number;
  readonly print: (line: string) => void;
}

/** Runs cases from a seed on until the time is over. @returns the seeds whose cases broke a promise. */
export async function runCampaign({ firstSeed, minutes, print }: Campaign): Promise<number[]> {
  const endsAt = Date.now() + minutes * MINUTE_MS;
  const counts = new Map<string, number>();
  const failed: number[] = [];
  const count = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1);
  let seed = firstSeed;
  const unhandled = (error: unknown): void => {
    failed.push(seed);
    print(`case ${seed}: an error that nobody handled: ${describe(error)}`);
  };
  process.on('unhandledRejection', unhandled);
  for (let expandedCount = 0; Date.now() < endsAt; seed += 1) {
    try {
      const fuzzCase = caseOf(seed);
      const outcome = await runCase(fuzzCase);
      count(outcome.kind === 'expanded' ? 'expanded' : outcome.code);
      if (outcome.kind === 'expanded') {
        expandedCount += 1;
        if (expandedCount % CASES_PER_CHECK === 0) count(`checked: ${await checkFilesystem(fuzzCase.tar, outcome.expanded, outcome.share)}`);
      }
      const rss = process.memoryUsage.rss();
      if (rss > MAX_RSS_BYTES) throw new Error(`the process holds ${Math.round(rss / 2 ** 20)} MiB`);
    } catch (error) {
      failed.push(seed);
      print(`case ${seed}: ${describe(error)}`);
    }
  }
  process.off('unhandledRejection', unhandled);
  print(`${seed - firstSeed} cases from ${firstSeed} on, ${failed.length} failed`);
  for (const [what, times] of [...counts].sort(([, a], [, b]) => b - a)) print(`${String(times).padStart(9)} ${what}`);
  return failed;
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!(error.cause instanceof Error)) return error.message;
  return `${error.message}: ${error.cause.stack ?? error.cause.message}`;
}
