import { MINUTE_MS } from '#quantities';

import type { CallerNetwork } from './caller-networks.js';
import type { LayerMount, PullReason } from './mount-answer.js';
import { type LayerFile, MountSources } from './mount-sources.js';

/** Probes in a row that must fail before a share is down: one lost packet is no outage. */
export const FAILED_PROBES_MAX = 3;
/** Probes in a row that must be answered before it is up again: one answer is no recovery. */
export const GOOD_PROBES_MIN = 2;
/** Reporters who must agree, within {@link REPORTS_COUNT_MS}, before a share is down: one client alone takes nothing from others. */
export const REPORTERS_MIN = 3;
/** For how long a report counts. */
export const REPORTS_COUNT_MS = MINUTE_MS;
/** For how long reports keep a share down: then it is given again, and reported again if it is still of no use. */
export const REPORTED_DOWN_MS = 2 * MINUTE_MS;
/** Reports of one reporter that are taken within {@link REPORTS_COUNT_MS}. */
export const REPORTS_PER_REPORTER_MAX = 60;
/** Reporters that are remembered; beyond that, new ones are told to wait until the next period. About 100 bytes each. */
export const REPORTERS_MAX = 10_000;

/** What became of a report. */
export type ReportOutcome = 'counted' | 'too-many' | 'unknown-share';

interface Judged {
  failed: number;
  good: number;
  down: boolean;
  /** When each reporter last reported it, in milliseconds. */
  readonly reports: Map<string, number>;
  reportedAtMs: number | undefined;
}

/**
 * Which shares are of no use to nodes at the moment: by probes of this process, and by what clients report. Either is enough; each ends by itself. Bounded in memory. A clock that
 * is set back or forward lets reports end early, never late.
 */
export class ShareHealth {
  readonly #shares: ReadonlyMap<string, Judged>;
  /** Those that reports took out. */
  readonly #reportedDown = new Set<Judged>();
  #changes = 0;
  #withheld: ReadonlySet<string> = new Set();
  #reporters = new Map<string, number>();
  #periodAtMs = 0;

  /** Every share is up at first. */
  constructor(shares: Iterable<string>) {
    this.#shares = new Map([...shares].map((name) => [name, { failed: 0, good: 0, down: false, reports: new Map(), reportedAtMs: undefined }]));
  }

  /** Notes how a probe ended. @returns what it changed: `down`, `up`, or undefined for nothing. */
  probed(share: string, answered: boolean): 'down' | 'up' | undefined {
    const judged = this.#shares.get(share);
    if (judged === undefined) return undefined;
    judged.failed = answered ? 0 : judged.failed + 1;
    judged.good = answered ? judged.good + 1 : 0;
    const down = judged.down ? judged.good < GOOD_PROBES_MIN : judged.failed >= FAILED_PROBES_MAX;
    if (down === judged.down) return undefined;
    judged.down = down;
    this.#changes += 1;
    return down ? 'down' : 'up';
  }

  /** Notes that a client could not use a share. `reporter` names the client by what it cannot choose freely: its address. Repeating it counts once. */
  reported(share: string, reporter: string, now: Date): ReportOutcome {
    const nowMs = now.getTime();
    if (!this.#admits(reporter, nowMs)) return 'too-many';
    const judged = this.#shares.get(share);
    if (judged === undefined) return 'unknown-share';
    judged.reports.set(reporter, nowMs);
    for (const [other, atMs] of judged.reports) if (!isWithin(atMs, nowMs, REPORTS_COUNT_MS)) judged.reports.delete(other);
    if (judged.reports.size >= REPORTERS_MIN) {
      judged.reportedAtMs = nowMs;
      judged.reports.clear();
      this.#reportedDown.add(judged);
      this.#changes += 1;
    }
    return 'counted';
  }

  /** Whether nodes are not to be given this share; false for one that is not known. */
  isDown(share: string, now: Date): boolean {
    const judged = this.#shares.get(share);
    return judged !== undefined && (judged.down || (judged.reportedAtMs !== undefined && isWithin(judged.reportedAtMs, now.getTime(), REPORTED_DOWN_MS)));
  }

  /** A number that is another one whenever some share may have gone down or come up since. */
  standing(now: Date): number {
    for (const judged of this.#reportedDown) {
      if (judged.reportedAtMs !== undefined && isWithin(judged.reportedAtMs, now.getTime(), REPORTED_DOWN_MS)) continue;
      judged.reportedAtMs = undefined;
      this.#reportedDown.delete(judged);
      this.#changes += 1;
    }
    return this.#changes;
  }

  /** Has nodes be given none of these shares from now on, whatever state they are in, and all others again: operators take them out of use. */
  withhold(shares: Iterable<string>): void {
    const withheld = new Set(shares);
    if (withheld.size === this.#withheld.size && [...withheld].every((share) => this.#withheld.has(share))) return;
    this.#withheld = withheld;
    this.#changes += 1;
  }

  /** Whether a share was taken out of use. */
  isWithheld(share: string): boolean {
    return this.#withheld.has(share);
  }

  #admits(reporter: string, nowMs: number): boolean {
    if (!isWithin(this.#periodAtMs, nowMs, REPORTS_COUNT_MS)) {
      this.#periodAtMs = nowMs;
      this.#reporters = new Map();
    }
    const count = this.#reporters.get(reporter);
    if (count === undefined ? this.#reporters.size >= REPORTERS_MAX : count >= REPORTS_PER_REPORTER_MAX) return false;
    this.#reporters.set(reporter, (count ?? 0) + 1);
    return true;
  }
}

/** Whether `atMs` is not in the future, and less than `ms` ago. */
function isWithin(atMs: number, nowMs: number, ms: number): boolean {
  return nowMs >= atMs && nowMs - atMs < ms;
}

/** The sources of others, without those of shares that are down or withheld. */
export class HealthyMountSources extends MountSources {
  readonly #sources: MountSources;
  readonly #health: ShareHealth;

  constructor(sources: MountSources, health: ShareHealth) {
    super();
    this.#sources = sources;
    this.#health = health;
  }

  of(file: LayerFile, share: string, now: Date, caller?: CallerNetwork): readonly LayerMount[] | PullReason {
    if (this.#health.isWithheld(share)) return 'REPLICA_DRAINING';
    return this.#health.isDown(share, now) ? [] : this.#sources.of(file, share, now, caller);
  }

  standing(now: Date): number {
    // Both only grow.
    return this.#sources.standing(now) + this.#health.standing(now);
  }
}
