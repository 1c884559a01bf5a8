import { type DisturbanceSettings, FAULT_KINDS } from './disturbances.js';

/** Rules of one setting; long enough for any test, short enough that a slip of the pen is seen. */
const LATENCY_MS_MAX = 600_000;
const RULES_MAX = 1000;

/** Everything that is wrong with limits and faults, as sentences (field, value, rule); empty when they can be used. */
export function disturbanceProblems({ limits = [], links = [], faults = [], seed }: DisturbanceSettings): string[] {
  const problems: string[] = [];
  const number = (field: string, value: number | undefined, [least, most]: readonly [number, number]): void => {
    if (value !== undefined && !(Number.isFinite(value) && value >= least && value <= most)) problems.push(`${field}: ${value} is not a number from ${least} to ${most}`);
  };
  for (const [name, list] of Object.entries({ limits, links, faults })) if (list.length > RULES_MAX) problems.push(`${name}: ${list.length} are more than ${RULES_MAX}`);
  for (const [index, limit] of limits.entries()) {
    number(`limits[${index}].latencyMs`, limit.latencyMs, [0, LATENCY_MS_MAX]);
    number(`limits[${index}].bytesPerSecond`, limit.bytesPerSecond, [1, Number.MAX_SAFE_INTEGER]);
    number(`limits[${index}].requestsPerSecond`, limit.requestsPerSecond, [0.001, Number.MAX_SAFE_INTEGER]);
    if (limit.latencyMs === undefined && limit.bytesPerSecond === undefined && limit.requestsPerSecond === undefined) problems.push(`limits[${index}]: limits nothing`);
  }
  for (const [index, link] of links.entries()) {
    number(`links[${index}].latencyMs`, link.latencyMs, [0, LATENCY_MS_MAX]);
    number(`links[${index}].bytesPerSecond`, link.bytesPerSecond, [1, Number.MAX_SAFE_INTEGER]);
    if (link.from === link.to) problems.push(`links[${index}]: from and to are both ${JSON.stringify(link.from)}`);
  }
  for (const [index, fault] of faults.entries()) {
    if (!FAULT_KINDS.includes(fault.kind)) problems.push(`faults[${index}].kind: ${JSON.stringify(fault.kind)} is none of ${FAULT_KINDS.join(', ')}`);
    number(`faults[${index}].ratio`, fault.ratio, [0, 1]);
    number(`faults[${index}].afterBytes`, fault.afterBytes, [0, Number.MAX_SAFE_INTEGER]);
    number(`faults[${index}].ms`, fault.ms, [0, LATENCY_MS_MAX]);
    if (fault.afterBytes !== undefined && fault.kind !== 'cut-body') problems.push(`faults[${index}].afterBytes: is for cut-body only`);
    if (fault.ms !== undefined && fault.kind !== 'slow-deletion') problems.push(`faults[${index}].ms: is for slow-deletion only`);
  }
  number('seed', seed, [0, 4_294_967_295]);
  return problems;
}
