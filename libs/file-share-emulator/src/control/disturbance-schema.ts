import { z } from 'zod';

import { FAULT_KINDS } from './disturbances.js';

const text = z.string().optional();
const number = z.number().optional();

/** Limits and faults as they are written in a file or sent to the control port; ranges are checked apart. */
export const DISTURBANCE_SCHEMA = z.strictObject({
  limits: z.array(z.strictObject({ account: text, share: text, latencyMs: number, bytesPerSecond: number, requestsPerSecond: number })).optional(),
  links: z.array(z.strictObject({ from: z.string(), to: z.string(), latencyMs: number, bytesPerSecond: number })).optional(),
  faults: z.array(z.strictObject({ kind: z.enum(FAULT_KINDS), account: text, share: text, operation: text, ratio: number, afterBytes: number, ms: number })).optional(),
  seed: z.number().int().optional(),
});
