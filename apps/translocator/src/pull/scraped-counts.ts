import type { Metrics } from '#telemetry';

/** A counter of the metrics, as far as it is counted up here. */
interface Counter<Labels> {
  inc(labels: Labels, count: number): void;
}

/** Counts in memory what happens with every answer, and tells the metrics when they are looked at: finding a counter by its labels takes longer than counting. */
export class ScrapedCounts<Labels extends object> {
  readonly #counter: Counter<Labels>;
  /** By key: one for each set of labels, of which there are few. */
  readonly #counts = new Map<string, { readonly labels: Labels; count: number }>();

  constructor(metrics: Metrics, counter: Counter<Labels>) {
    this.#counter = counter;
    metrics.beforeScrape(async () => this.#tell());
  }

  /** Counts; `key` names the labels, which are looked at only the first time. */
  count(key: string, labels: Labels, more: number): void {
    const known = this.#counts.get(key);
    if (known !== undefined) known.count += more;
    else this.#counts.set(key, { labels, count: more });
  }

  #tell(): void {
    for (const each of this.#counts.values()) {
      this.#counter.inc(each.labels, each.count);
      each.count = 0;
    }
  }
}
