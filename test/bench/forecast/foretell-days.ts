import { DemandCounters, DemandModel, type DemandView, type ImageForecast } from '#demand';
import { digestOf } from '#oci';
import { DAY_MS, HOUR_MS } from '#quantities';

import type { DailyCounts } from './daily-downloads.js';

const REGION = 'everywhere';
const HOURS = 24;

/** Foretells each day on the evening before, by this product's own model. A name is a repository with one image that is older than the trace. Days before the second have no forecast. */
export function foretellDays({ firstDayMs, names, counts }: DailyCounts): (readonly ImageForecast[] | undefined)[] {
  const images = names.map((name) => ({ repository: `packages/${name.toLowerCase()}`, digest: digestOf(name), pushedAt: new Date(firstDayMs - 400 * DAY_MS), generation: 0 }));
  const counters = new DemandCounters();
  const model = new DemandModel();
  const view = (atMs: number): DemandView => ({ at: new Date(atMs), regions: [REGION], counters, images });
  const days = counts[0]!.length;
  const forecasts: (readonly ImageForecast[] | undefined)[] = [undefined];
  model.learn(view(firstDayMs));
  for (let day = 0; day < days; day += 1) {
    const atMs = firstDayMs + day * DAY_MS;
    for (const [n, { repository, digest }] of images.entries()) {
      const count = counts[n]![day]!;
      // Only the day is known: its pulls are spread evenly over it.
      if (count > 0) for (let hour = 0; hour < HOURS; hour += 1) counters.add({ region: REGION, repository, image: digest }, atMs + (hour + 0.5) * HOUR_MS, count / HOURS);
    }
    const evening = view(atMs + DAY_MS);
    model.learn(evening);
    if (day + 1 < days) forecasts.push(model.forecast(evening, DAY_MS).get(REGION));
  }
  return forecasts;
}
