import { HOUR_MS } from '#quantities';

import { same } from './law.js';
import type { Scenario } from './steady-scenarios.js';
import { StressStory, type TrafficOptions } from './stress-story.js';

const REGIONS = ['eastus', 'southeastasia'] as const;

/** The same traffic twice: as it should be, and with something wrong. No plan is made meanwhile. */
async function twice(what: string, wrong: TrafficOptions): Promise<{ readonly right: StressStory; readonly told: StressStory }> {
  const [right, told] = [new StressStory(), new StressStory()];
  told.tell(what);
  await right.traffic(24, { plan: false });
  await told.traffic(24, { plan: false, ...wrong });
  for (const story of [right, told]) await story.plan('schedule');
  for (const region of REGIONS) told.show(region);
  return { right, told };
}

/** All telemetry comes half an hour late, and every batch twice. */
async function telemetryLateAndDoubled(): Promise<string> {
  const { right, told } = await twice('A day of traffic; all telemetry comes up to half an hour late, and every batch twice.', { lateAndTimes: 2 });
  for (const region of REGIONS) {
    same(`the same plan is made for ${region} as if all had come at once and once`, told.present(region), right.present(region));
    const decided = async (story: StressStory): Promise<unknown> => (await story.plans.latest(region))?.decisions.map(({ digest, verdict, expectedPulls }) => [digest, verdict, expectedPulls.toFixed(3)]);
    same(`with the same numbers, in ${region}`, await decided(told), await decided(right));
  }
  return told.transcript;
}

/** The clocks of nodes are two hours ahead, or half an hour behind. */
async function clockSkew(): Promise<string> {
  const { right, told } = await twice('A day of traffic; the clocks of all nodes are two hours ahead.', { skewMs: 2 * HOUR_MS });
  for (const region of REGIONS) same(`a pull from the future counts as of now: ${region} has the same`, told.present(region), right.present(region));
  const { told: behind } = await twice('The same; the clocks are half an hour behind.', { skewMs: -HOUR_MS / 2 });
  for (const region of REGIONS) same(`half an hour is nothing against a half-life: ${region} has the same`, behind.present(region), right.present(region));
  return told.transcript + behind.transcript;
}

/** Where what is told is not so. */
export const WRONG: Readonly<Record<string, Scenario>> = {
  'telemetry-late-and-doubled': telemetryLateAndDoubled,
  'clock-skew': clockSkew,
};
