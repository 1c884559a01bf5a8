import type { OutageDeployment } from './outage-deployment.js';
import type { OutageResult } from './outage-result.js';
import { type AskedPull, PullLoad, type PullReply } from './pull-load.js';

/** What an outage does to its deployment, and what it looks at. */
export interface OutageCase {
  readonly name: string;
  /** @throws nothing that is a finding: findings go to `run.expect`. */
  readonly strike: (run: OutageRun) => Promise<void>;
}

/** One outage under way: measures the answers, and collects what is wrong with them. */
export class OutageRun {
  readonly deployment: OutageDeployment;
  /** How an image that is in both regions is pulled. */
  readonly pulls: readonly AskedPull[];
  /** How long the answers to an outage are measured, in milliseconds. */
  readonly measuredMs: number;
  readonly #load: PullLoad;
  readonly #replies: PullReply[] = [];
  readonly #problems: string[] = [];

  constructor(at: { readonly deployment: OutageDeployment; readonly pulls: readonly AskedPull[]; readonly measuredMs: number; readonly load: PullLoad }) {
    this.deployment = at.deployment;
    this.pulls = at.pulls;
    this.measuredMs = at.measuredMs;
    this.#load = at.load;
  }

  /** Pulls for as long as is measured, and takes the answers into the figures. */
  async measure(pulls = this.pulls): Promise<readonly PullReply[]> {
    const replies = await this.#load.run(this.deployment.lookup.client.url, pulls, this.measuredMs);
    this.#replies.push(...replies);
    return replies;
  }

  /** Pulls for as long as is measured, outside of the figures: a process that has just begun is slow, whatever is away. */
  async rehearse(pulls = this.pulls): Promise<void> {
    await this.#load.run(this.deployment.lookup.client.url, pulls, this.measuredMs);
  }

  /** Pulls by every way once, outside of the figures. */
  look(pulls = this.pulls): Promise<readonly PullReply[]> {
    return Promise.all(pulls.map((pull) => this.#load.ask(this.deployment.lookup.client.url, pull)));
  }

  /** Notes what is not as it has to be. */
  expect(what: string, isSo: boolean): void {
    if (!isSo) this.#problems.push(what);
  }

  /** Notes answers that are not 200 with these ways of being answered and no others. */
  expectLayers(replies: readonly PullReply[], ...allowed: readonly string[]): void {
    const wrong = replies.filter(({ status }) => status !== 200);
    if (wrong.length > 0) this.#problems.push(`${wrong.length} of ${replies.length} answers were ${[...new Set(wrong.map(({ status }) => status))].join(', ')}`);
    const others = Object.entries(layersOf(replies)).filter(([how]) => !allowed.includes(how));
    if (others.length > 0) this.#problems.push(`layers were answered ${others.map(([how, count]) => `${count} × ${how}`).join(', ')}, not ${allowed.join(' or ')}`);
  }

  result(name: string): OutageResult {
    const times = this.#replies.map(({ milliseconds }) => milliseconds).toSorted((a, b) => a - b);
    const at = (ratio: number): number => times[Math.min(times.length - 1, Math.floor(times.length * ratio))] ?? Number.NaN;
    return { name, answers: times.length, medianMs: at(0.5), p99Ms: at(0.99), slowestMs: at(1), layers: layersOf(this.#replies), problems: this.#problems };
  }
}

/** How the layers of these answers were answered. */
export function layersOf(replies: readonly PullReply[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const layer of replies.flatMap(({ body }) => body?.layers ?? [])) {
    const how = layer.kind === 'mount' ? 'mount' : layer.reason;
    counts[how] = (counts[how] ?? 0) + 1;
  }
  return counts;
}
