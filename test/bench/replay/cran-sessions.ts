import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

import { digestOf } from '#oci';
import { openCatalogue, type ReplayEvent, type ReplayImage } from '#placement';
import { DAY_MS, MINUTE_MS } from '#quantities';

import { traceFile } from '../trace-file.js';
import type { Workload } from './workload.js';

/** Clients that asked for more in one day are crawlers. */
const CLIENT_DAY_MAX = 300;
/** What one client asked for with no longer pause in between is one installation: a package and what it depends on. */
const PAUSE_MS = MINUTE_MS;
/** The countries that are regions by themselves; all others are one together. */
const COUNTRY_COUNT = 8;
/** How long the history lasts before it counts: the first of the two days. */
export const CRAN_WARM_UP_MS = DAY_MS;

interface Row {
  readonly atMs: number;
  readonly sizeBytes: number;
  readonly name: string;
  readonly version: string;
  readonly country: string;
  /** One client on one day. */
  readonly client: string;
}

/**
 * Requests to a package mirror over two days, all real: a package's version is an image of one layer, and its requests are pulls, of which the client is the installation that they belong to. An
 * installation finds all it wants only if all of its pulls do. The mirror itself is home, and nobody pulls there. No push is told of: versions are known from their first request on.
 * @throws {BenchError} where the trace is not on this machine.
 */
export function cranSessions(): Workload {
  const rows = readRows();
  const begin = rows[0]!.atMs;
  const counted = new Map<string, number>();
  for (const { atMs, country } of rows) if (atMs < begin + CRAN_WARM_UP_MS) counted.set(country, (counted.get(country) ?? 0) + 1);
  const countries = new Set([...counted].toSorted((a, b) => b[1] - a[1]).slice(0, COUNTRY_COUNT).map(([country]) => country));
  const regionOf = (country: string): string => (countries.has(country) ? country.toLowerCase() : 'elsewhere');
  const sizes = new Map<string, number>();
  for (const row of rows) sizes.set(nameOf(row), Math.max(row.sizeBytes, sizes.get(nameOf(row)) ?? 0));
  const images = new Map(rows.map((row) => [nameOf(row), imageOf(row, sizes.get(nameOf(row))!)]));
  const sessions = new Map<string, { lastMs: number; count: number }>();
  const events = rows.map((row): ReplayEvent => {
    const session = sessions.get(row.client) ?? { lastMs: row.atMs, count: 0 };
    if (row.atMs - session.lastMs > PAUSE_MS) session.count += 1;
    session.lastMs = row.atMs;
    sessions.set(row.client, session);
    const { repository, digest } = images.get(nameOf(row))!;
    return { kind: 'pull', at: new Date(row.atMs), region: regionOf(row.country), repository, image: digest, client: `${row.client} ${session.count}` };
  });
  const regions = [...[...countries].map((country) => country.toLowerCase()), 'elsewhere'];
  return { catalogue: openCatalogue(images.values()), events, places: { home: 'mirror', regions: regions.map((region) => ({ region, usdPerGb: 0.05 })) } };
}

function readRows(): Row[] {
  const [, ...lines] = gunzipSync(readFileSync(traceFile('cran_geo_2012-12-26_27.csv.gz'))).toString().trim().split('\n');
  const rows = lines.map((line): Row => {
    const [date = '', time = '', size = '', name = '', version = '', country = '', client = ''] = line.replaceAll('"', '').split(',');
    return { atMs: Date.parse(`${date}T${time}Z`), sizeBytes: Number(size), name, version, country, client: `${date} ${country} ${client}` };
  });
  const asked = new Map<string, number>();
  for (const { client } of rows) asked.set(client, (asked.get(client) ?? 0) + 1);
  return rows.filter(({ client }) => asked.get(client)! <= CLIENT_DAY_MAX).toSorted((a, b) => a.atMs - b.atMs);
}

function nameOf({ name, version }: Row): string {
  return `${name} ${version}`;
}

function imageOf(row: Row, sizeBytes: number): ReplayImage {
  const digest = digestOf(nameOf(row));
  return { repository: `cran/${row.name.toLowerCase()}`, digest, layers: [{ digest, sizeBytes }] };
}
