import type { Reference } from '#oci';
import { type ProbeAnswer, type RegistryClient, RegistryError } from '#registry';

/** Questions in a row that the registry left open before nobody waits for it any more: one slow answer, or one caller's strange question, is no outage. */
export const SILENCES_MAX = 3;

/**
 * Asks the registry about callers, and while it is silent lets no pull wait for it again: every question is then answered at once as not answerable, and one of them at a
 * time goes to the registry all the same, to find out when it is back. Its first answer ends the silence.
 */
export class UnwaitedProbe {
  readonly #registry: Pick<RegistryClient, 'probe'>;
  #silences = 0;
  #isTried = false;

  constructor(registry: Pick<RegistryClient, 'probe'>) {
    this.#registry = registry;
  }

  /**
   * As the registry client's `probe`.
   * @throws {RegistryError} what that throws; `REGISTRY_UNAVAILABLE` without waiting once the registry has left {@link SILENCES_MAX} questions in a row open.
   */
  probe(repository: string, reference: Reference, authorization: string | undefined): Promise<ProbeAnswer> {
    if (this.#silences < SILENCES_MAX) return this.#ask(repository, reference, authorization);
    if (!this.#isTried) void this.#try(repository, reference, authorization);
    return Promise.reject(new RegistryError('REGISTRY_UNAVAILABLE', 'the registry has left the last questions open, and is not waited for', { transient: true }));
  }

  /** Whoever asked has had an answer already: what counts is whether there is one. */
  async #try(repository: string, reference: Reference, authorization: string | undefined): Promise<void> {
    this.#isTried = true;
    await Promise.allSettled([this.#ask(repository, reference, authorization)]);
    this.#isTried = false;
  }

  async #ask(repository: string, reference: Reference, authorization: string | undefined): Promise<ProbeAnswer> {
    try {
      const answer = await this.#registry.probe(repository, reference, authorization);
      this.#silences = 0;
      return answer;
    } catch (error) {
      // A registry that says "too many requests" answers.
      this.#silences = error instanceof RegistryError && error.code === 'TOO_MANY_REQUESTS' ? 0 : this.#silences + 1;
      throw error;
    }
  }
}
