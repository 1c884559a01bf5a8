import { copyUnderFault } from './copies-under-faults.js';
import { FAULT_CASES } from './fault-cases.js';
import { startFaultDeployment } from './fault-deployment.js';
import type { FaultResult } from './fault-result.js';
import { killWorkers } from './killed-workers.js';

const KILLS = 'kill -9';

/** What is run, and how much of it. */
export interface FaultRun {
  /** A PostgreSQL that may be given a database. */
  readonly serverUrl: string;
  /** Parts of the names of what is run; none: everything. */
  readonly only: readonly string[];
  readonly copies: number;
  readonly kills: number;
  /** From 0 to 1. */
  readonly random: () => number;
}

/** Runs the faults one after the other on one deployment, and then the kills; `onResult` hears of each as it ends. */
export async function runFaults({ serverUrl, only, copies, kills, random }: FaultRun, onResult: (result: FaultResult) => void = () => {}): Promise<FaultResult[]> {
  const isRun = (name: string): boolean => only.length === 0 || only.some((part) => name.includes(part));
  const results: FaultResult[] = [];
  const note = (result: FaultResult): void => {
    results.push(result);
    onResult(result);
  };
  await using deployment = await startFaultDeployment(serverUrl);
  const worker = await deployment.startProcess('worker');
  for (const one of FAULT_CASES.filter(({ name }) => isRun(name))) note(await copyUnderFault(deployment, worker, one, { copies }));
  await worker.stop();
  if (kills > 0 && isRun(KILLS)) note(await killWorkers(deployment, { kills, random }));
  return results;
}
