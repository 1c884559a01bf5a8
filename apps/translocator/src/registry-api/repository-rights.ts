import { type HeaderFields, type RegistryRelay, type RelayedAnswer, RegistryError } from '#registry';

import { authenticationRequired, HttpProblem } from '../http/http-problem.js';
import { readWhole } from './client-answer.js';

/** How long the registry may take to say what somebody may do. */
const RIGHT_MAX_MS = 5_000;
/** The longest answer of the registry's that is read. */
const ANSWER_BYTES_MAX = 1024 * 1024;

/** Somebody who wants to read or change a repository, and what to tell the registry of them. */
export interface Asker {
  /** As they go on to the registry: the caller's own, with its `Authorization`. */
  readonly headers: HeaderFields;
  /** A challenge of the registry as this client must see it. */
  challenge(text: string): string;
}

/** An answer that was read whole. */
export interface WholeAnswer {
  readonly status: number;
  readonly headers: RelayedAnswer['headers'];
  /** Undefined when it is no JSON object. */
  readonly json: Readonly<Record<string, unknown>> | undefined;
}

/**
 * Finds out what a caller may do with a repository by asking the registry for it with the caller's own authority. There is nothing here to get wrong: whatever decides about
 * pushes decides about this.
 */
export class RepositoryRights {
  readonly #relay: RegistryRelay;
  readonly #onFailure: (error: unknown) => void;

  constructor(relay: RegistryRelay, onFailure: (error: unknown) => void) {
    this.#relay = relay;
    this.#onFailure = onFailure;
  }

  /** Passes for who may pull. @throws {HttpProblem} 401 with a challenge, 403, or 404 when the registry knows no such repository. */
  async mayPull(repository: string, asker: Asker): Promise<void> {
    const answer = await this.ask({ method: 'GET', path: `/v2/${repository}/tags/list?n=1` }, asker);
    if (answer.status !== 200) throw refusal(answer, repository, asker);
  }

  /**
   * Passes for who may pull and push. Who may not even pull is challenged for both, so that one new token is enough. @throws {HttpProblem} as {@link mayPull}.
   */
  async mayChange(repository: string, asker: Asker): Promise<void> {
    const pulls = await this.mayPull(repository, asker).catch((error: unknown) => {
      if (error instanceof HttpProblem && error.status === 401) return error;
      throw error;
    });
    await this.mayPush(repository, asker);
    if (pulls instanceof HttpProblem) throw pulls;
  }

  /**
   * Passes for who may push: an upload is begun as every push begins, and ended at once. Nothing is stored; an upload that could not be ended is one of those that registries
   * clear away. @throws {HttpProblem} as {@link mayPull}.
   */
  async mayPush(repository: string, asker: Asker): Promise<void> {
    const answer = await this.ask({ method: 'POST', path: `/v2/${repository}/blobs/uploads/`, headers: { 'content-length': '0' } }, asker);
    if (answer.status !== 202) throw refusal(answer, repository, asker, ['pull', 'push']);
    const location = answer.headers.location;
    const upload = location !== undefined && URL.canParse(location, this.#relay.url.href) ? new URL(location, this.#relay.url) : undefined;
    // The caller's authority goes to the registry only.
    if (upload?.host !== this.#relay.url.host && upload?.host !== asker.headers['x-forwarded-host']) return;
    await this.ask({ method: 'DELETE', to: new URL(this.#relay.url), path: `${upload?.pathname}${upload?.search}`, headers: { 'content-length': '0' } }, asker).catch(this.#onFailure);
  }

  /** Asks the registry with the caller's authority, in bounded time and memory. @throws {RegistryError} when it does not answer. */
  async ask(request: { readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'; readonly path: string; readonly to?: URL; readonly headers?: HeaderFields; readonly body?: Buffer }, asker: Asker): Promise<WholeAnswer> {
    const { body = null, headers = {}, ...where } = request;
    const tooLate = AbortSignal.timeout(RIGHT_MAX_MS);
    try {
      const answer = await this.#relay.send({ ...where, headers: { ...asker.headers, ...headers }, body, signal: tooLate });
      const bytes = await readWhole(answer, ANSWER_BYTES_MAX);
      return { status: answer.status, headers: answer.headers, json: objectIn(bytes) };
    } catch (cause) {
      if (!tooLate.aborted) throw cause;
      throw new RegistryError('REGISTRY_UNAVAILABLE', `the registry did not answer within ${RIGHT_MAX_MS} ms`, { cause, transient: true });
    }
  }
}

/** What a caller is told when the registry has refused it. */
export function refusal({ status, headers }: WholeAnswer, repository: string, asker: Asker, actions: readonly string[] = ['pull']): HttpProblem | RegistryError {
  const challenge = [headers['www-authenticate'] ?? []].flat().join(', ');
  if (status === 401) return authenticationRequired(repository, actions, challenge === '' ? undefined : asker.challenge(challenge));
  if (status === 403 || status === 405) return new HttpProblem(403, { code: 'DENIED', title: 'Not allowed', detail: `the registry does not allow this to the caller, in ${repository}` });
  if (status === 404) return new HttpProblem(404, { code: 'NAME_UNKNOWN', title: 'Not found', detail: `the registry has no ${repository}` });
  return new RegistryError('REGISTRY_UNAVAILABLE', `the registry answered ${status} to the question what a caller may do`, { transient: true });
}

function objectIn(bytes: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed: unknown = JSON.parse(bytes.toString());
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? (parsed as Record<string, unknown>) : undefined;
  } catch {
    // A registry without this interface answers with a page for people, or with nothing.
    return undefined;
  }
}
