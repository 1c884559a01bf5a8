import { OUTAGES } from './outage-cases.js';
import { OutageDeployment } from './outage-deployment.js';
import type { OutageResult } from './outage-result.js';
import { OutageRun } from './outage-run.js';
import { PullLoad } from './pull-load.js';

/** What to run. */
export interface OutageOptions {
  /** Of a PostgreSQL that may be given a database. */
  readonly serverUrl: string;
  /** Parts of names; empty means every outage. */
  readonly only: readonly string[];
  /** How long the answers to each outage are measured, in milliseconds. */
  readonly measuredMs: number;
}

/** Runs outages one after the other over one deployment. */
export async function runOutages({ serverUrl, only, measuredMs }: OutageOptions, tell: (result: OutageResult) => void): Promise<OutageResult[]> {
  await using deployment = await OutageDeployment.start(serverUrl);
  using load = new PullLoad();
  const pulls = await deployment.imageInBothRegions('v1');
  const results: OutageResult[] = [];
  for (const { name, strike } of OUTAGES) {
    if (only.length > 0 && !only.some((part) => name.includes(part))) continue;
    const run = new OutageRun({ deployment, pulls, measuredMs, load });
    try {
      await strike(run);
    } catch (error) {
      run.expect(`it ended before its end: ${String(error)}`, false);
    }
    const result = run.result(name);
    results.push(result);
    tell(result);
  }
  return results;
}
