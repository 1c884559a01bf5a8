import { createHash } from 'node:crypto';

import type { Clock } from '#clock';
import { formatReference, type Reference } from '#oci';
import { MINUTE_MS, SECOND_MS } from '#quantities';
import type { ProbeAnswer, RegistryClient } from '#registry';

/** How long the registry's word on a caller is taken for the same question. */
export const ANSWER_KEPT_MS = MINUTE_MS;
/** How long a refusal is: someone who has just been given the right should not wait. */
export const REFUSAL_KEPT_MS = 2 * SECOND_MS;
/** Words that are remembered; the oldest go. */
const KEPT_MAX = 50_000;

/** What a caller may do: as the registry says, or that the registry could not be asked in time. */
export type PullRight = ProbeAnswer | 'unavailable';

/** Finds out whether a caller may pull an image: the registry is asked with the caller's own authority, and its word is remembered for a minute at most. */
export class PullAuthority {
  readonly #registry: Pick<RegistryClient, 'probe'>;
  readonly #clock: Clock;
  readonly #kept = new Map<string, { readonly right: PullRight; readonly untilMs: number }>();
  readonly #asking = new Map<string, Promise<PullRight>>();

  constructor(registry: Pick<RegistryClient, 'probe'>, clock: Clock) {
    this.#registry = registry;
    this.#clock = clock;
  }

  /** Whether the caller with this Authorization header may pull. Never throws, and waits no longer than the registry client's `probeMaxMs`. */
  async rightTo(repository: string, reference: Reference, authorization: string | undefined): Promise<PullRight> {
    const question = createHash('sha256').update(JSON.stringify([repository, formatReference(reference), authorization ?? null])).digest('base64');
    const kept = this.#kept.get(question);
    if (kept !== undefined && this.#clock.now().getTime() < kept.untilMs) return kept.right;
    let asking = this.#asking.get(question);
    if (asking === undefined) {
      asking = this.#ask(repository, reference, authorization).then((right) => {
        this.#keep(question, right);
        return right;
      }).finally(() => this.#asking.delete(question));
      this.#asking.set(question, asking);
    }
    return asking;
  }

  async #ask(repository: string, reference: Reference, authorization: string | undefined): Promise<PullRight> {
    try {
      return await this.#registry.probe(repository, reference, authorization);
    } catch {
      // Whatever kept the registry from answering, the caller is answered: with blobs, which need the registry's own consent.
      return 'unavailable';
    }
  }

  #keep(question: string, right: PullRight): void {
    this.#kept.delete(question);
    if (right === 'unavailable') return;
    const keptMs = right === 'allowed' ? ANSWER_KEPT_MS : REFUSAL_KEPT_MS;
    this.#kept.set(question, { right, untilMs: this.#clock.now().getTime() + keptMs });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > KEPT_MAX && oldest !== undefined) this.#kept.delete(oldest);
  }
}
