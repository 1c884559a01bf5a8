import type { DisturbanceSettings, Fault, FaultKind } from '#file-share-emulator';

import { FAR, HOME, REBUILT } from './fault-deployment.js';

/** One way in which shares fail while copies are made. */
export interface FaultCase {
  readonly name: string;
  readonly settings: DisturbanceSettings;
  /** A fault that leaves no copy a way out is ended once it has struck this often for each copy; the others stay until the last copy is whole. */
  readonly liftedAfter?: { readonly kind: FaultKind; readonly strikesPerCopy: number };
  /** Where copies go; default {@link FAR}. */
  readonly to?: readonly string[];
}

const MB = 1e6;
const fault = (kind: FaultKind, ratio: number, more: Partial<Fault> = {}): FaultCase => ({ name: kind, settings: { faults: [{ kind, ratio, ...more }], seed: 7 } });

/** Every fault that the emulator has, and one run with many of them together. The first is the deployment's own beginning: see `startFaultDeployment`. */
export const FAULT_CASES: readonly FaultCase[] = [
  { name: 'slow-deletion', settings: {}, to: [FAR[0], REBUILT] },
  {
    name: 'latency-and-bandwidth',
    settings: {
      limits: [{ account: FAR[0], latencyMs: 20, requestsPerSecond: 100 }, { account: FAR[1], latencyMs: 60, bytesPerSecond: 10 * MB }],
      links: FAR.map((to, n) => ({ from: HOME, to, latencyMs: 40 * (n + 1), bytesPerSecond: 6 * MB })),
    },
  },
  fault('server-busy', 0.2),
  fault('timed-out', 0.2),
  fault('cut-body', 0.2),
  fault('flipped-byte', 0.2),
  fault('source-expired', 0.3),
  { ...fault('share-full', 1, { account: FAR[0] }), liftedAfter: { kind: 'share-full', strikesPerCopy: 0.25 } },
  fault('copy-pending', 1),
  {
    name: 'many-at-once',
    settings: {
      faults: (['server-busy', 'timed-out', 'cut-body', 'flipped-byte', 'source-expired'] as const).map((kind) => ({ kind, ratio: 0.06 })),
      limits: [{ account: FAR[1], latencyMs: 40, requestsPerSecond: 120 }],
      seed: 11,
    },
  },
];
