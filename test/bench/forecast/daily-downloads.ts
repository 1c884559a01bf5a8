import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';

import { DAY_MS } from '#quantities';

/** Daily counts of many names, all over the same days. */
export interface DailyCounts {
  /** The first day's midnight, in milliseconds since the epoch. */
  readonly firstDayMs: number;
  readonly names: readonly string[];
  /** By name, then by day. */
  readonly counts: readonly Float64Array[];
}

/** Daily unique downloads of 3,000 packages; see the traces' notes. */
export const DAILY_DOWNLOADS = 'cran_daily_unique_top3000_first129days.csv.gz';

/** Reads the daily trace. @throws for a file that is not what it is known to be. */
export async function readDailyDownloads(path: string): Promise<DailyCounts> {
  const lines = createInterface({ input: createReadStream(path).pipe(createGunzip()), crlfDelay: Number.POSITIVE_INFINITY });
  const names: string[] = [];
  const counts: Float64Array[] = [];
  let days: readonly string[] | undefined;
  for await (const line of lines) {
    const [name = '', ...cells] = line.split(',');
    if (days === undefined) {
      days = cells;
      continue;
    }
    if (cells.length !== days.length) throw new Error(`${path}: ${name} has ${cells.length} days, and ${days.length} are named`);
    names.push(name);
    counts.push(Float64Array.from(cells, Number));
  }
  const firstDayMs = Date.parse(`${days?.[0]}T00:00:00.000Z`);
  if (Number.isNaN(firstDayMs) || Date.parse(`${days?.at(-1)}T00:00:00.000Z`) - firstDayMs !== (days!.length - 1) * DAY_MS) throw new Error(`${path}: its days do not follow each other`);
  return { firstDayMs, names, counts };
}
