import { Agent, type Dispatcher } from 'undici';

import { type Clock, retrying } from '#clock';
import {
  bareMediaType, digestOf, formatReference, isDigest, isTag, MANIFEST_BYTES_MAX, MANIFEST_MEDIA_TYPES, manifestKindOf, OciError, parseRepositoryName,
  type Reference, verifiedStream,
} from '#oci';

import { RegistryError, type RegistryErrorCode } from '../registry-error.js';
import { type BlobDescriptor, type FetchedManifest, RegistryReader, type ResolvedManifest, TAGS_MAX } from '../registry-reader.js';
import { downloadBlob } from './blob-download.js';
import { RegistryAccess, type RegistryCredentials } from './registry-access.js';
import { AUTHORIZATION_LENGTH_MAX, DEFAULT_REGISTRY_LIMITS, type RegistryLimits, TAGS_PAGE, TAGS_PAGE_BYTES_MAX } from './registry-limits.js';
import { parseRegistryUrl } from './registry-url.js';
import { type Answer, type Ask, describe, errorOf, header, readBounded, send } from './send.js';

/** What a {@link RegistryClient} needs. */
export interface RegistryClientOptions {
  /** `https://registry.example` or, for a registry on this machine, `http://127.0.0.1:5000`; a path is kept in front of `/v2/`. */
  readonly url: string;
  readonly credentials: RegistryCredentials;
  readonly clock: Clock;
  readonly limits?: Partial<RegistryLimits>;
}

/**
 * What a registry answers to a caller's own authority: it may pull, it may not, there is no such image, or it must first get a
 * token as the challenge (a `WWW-Authenticate` header's text) says.
 */
export type ProbeAnswer = 'allowed' | 'denied' | 'unknown' | { readonly challenge: string };

const ACCEPT_MANIFESTS = MANIFEST_MEDIA_TYPES.join(', ');

/** Reads one OCI registry over HTTP (OCI distribution-spec 1.1). Its connections are its own; `close` ends them. */
export class RegistryClient extends RegistryReader {
  readonly #url: URL;
  readonly #clock: Clock;
  readonly #limits: RegistryLimits;
  readonly #dispatcher: Dispatcher;
  readonly #access: RegistryAccess;

  /** @throws {RegistryError} `REGISTRY_PROTOCOL` when the URL is not http or https, or holds a password. */
  constructor(options: RegistryClientOptions) {
    super();
    this.#url = parseRegistryUrl(options.url);
    this.#clock = options.clock;
    this.#limits = { ...DEFAULT_REGISTRY_LIMITS, ...options.limits };
    const { connectMaxMs, headersMaxMs, idleBodyMaxMs, connectionsMax } = this.#limits;
    this.#dispatcher = new Agent({ connect: { timeout: connectMaxMs }, headersTimeout: headersMaxMs, bodyTimeout: idleBodyMaxMs, connections: connectionsMax });
    this.#access = new RegistryAccess({ dispatcher: this.#dispatcher, clock: this.#clock, registry: this.#url, credentials: options.credentials });
  }

  async resolve(repository: string, reference: Reference, signal?: AbortSignal): Promise<ResolvedManifest> {
    const url = this.#endpoint(repository, `manifests/${formatReference(reference)}`);
    const { answer } = await this.#open(repository, { method: 'HEAD', url, headers: { accept: ACCEPT_MANIFESTS }, signal }, 'MANIFEST_UNKNOWN');
    await answer.body.dump();
    const digest = header(answer, 'docker-content-digest') ?? (reference.kind === 'digest' ? reference.digest : undefined);
    const length = header(answer, 'content-length');
    if (digest === undefined || !isDigest(digest) || length === undefined) {
      // The header is only recommended by the specification; the bytes always tell.
      const manifest = await this.manifest(repository, reference, signal);
      return { digest: manifest.digest, mediaType: manifest.mediaType, sizeBytes: manifest.bytes.byteLength };
    }
    return { digest, mediaType: bareMediaType(header(answer, 'content-type')), sizeBytes: Number(length) };
  }

  async manifest(repository: string, reference: Reference, signal?: AbortSignal): Promise<FetchedManifest> {
    const url = this.#endpoint(repository, `manifests/${formatReference(reference)}`);
    return this.#retrying(signal, async () => {
      const ask: Ask = { method: 'GET', url, headers: { accept: ACCEPT_MANIFESTS }, signal };
      const answer = await this.#sendOnce(repository, ask, 'MANIFEST_UNKNOWN');
      const bytes = await readBounded(ask, answer, MANIFEST_BYTES_MAX);
      const digest = digestOf(bytes);
      const announced = reference.kind === 'digest' ? reference.digest : header(answer, 'docker-content-digest');
      if (announced !== undefined && isDigest(announced) && announced !== digest) {
        throw new OciError('DIGEST_MISMATCH', `${describe(ask)} answered ${digest} where ${announced} was announced`);
      }
      return { digest, mediaType: bareMediaType(header(answer, 'content-type')), bytes };
    });
  }

  blob(repository: string, descriptor: BlobDescriptor, signal?: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    const url = this.#endpoint(repository, `blobs/${descriptor.digest}`);
    const source = downloadBlob(descriptor, {
      clock: this.#clock,
      // Bytes as they are stored: their digest is of those.
      open: (headers) => this.#open(repository, { method: 'GET', url, headers: { 'accept-encoding': 'identity', ...headers }, signal }, 'BLOB_UNKNOWN'),
      resumesMax: this.#limits.resumesMax,
      backoff: this.#limits.retry,
      signal,
    });
    return verifiedStream(source, descriptor);
  }

  async *tags(repository: string, signal?: AbortSignal): AsyncGenerator<string, void, undefined> {
    let url: URL | undefined = this.#endpoint(repository, `tags/list?n=${TAGS_PAGE}`);
    let listedCount = 0;
    // Every page but the last has a tag, so that the limit of tags is also one of pages.
    while (url !== undefined) {
      const page: { tags: string[]; next: URL | undefined } = await this.#tagsPage(repository, url, signal);
      listedCount += page.tags.length;
      if (listedCount > TAGS_MAX) throw new RegistryError('RESPONSE_TOO_LARGE', `${repository} has more than ${TAGS_MAX} tags`);
      // A tag outside the grammar cannot be asked for.
      yield* page.tags.filter(isTag);
      url = page.tags.length === 0 ? undefined : page.next;
    }
  }

  /**
   * Asks whether a caller may pull: one HEAD with the caller's own `Authorization` header and nothing of ours, without another try. A redirect to
   * another host is not followed with it. Only a manifest's own headers count as `allowed`: a login page does not.
   * @throws {RegistryError} `REGISTRY_UNAVAILABLE` or `TOO_MANY_REQUESTS` when the registry could not say within `probeMaxMs`.
   */
  async probe(repository: string, reference: Reference, authorization: string | undefined, signal?: AbortSignal): Promise<ProbeAnswer> {
    if (authorization !== undefined && !isHeaderValue(authorization)) return 'denied';
    const headers = { accept: ACCEPT_MANIFESTS, ...(authorization === undefined ? {} : { authorization }) };
    const ask: Ask = { method: 'HEAD', url: this.#endpoint(repository, `manifests/${formatReference(reference)}`), headers, signal };
    const answer = await this.#sendWithin(this.#limits.probeMaxMs, ask);
    if (answer.status === 200) {
      await answer.body.dump();
      return manifestKindOf(bareMediaType(header(answer, 'content-type'))) === undefined ? 'denied' : 'allowed';
    }
    const challenge = answer.url.origin === this.#url.origin ? header(answer, 'www-authenticate') : undefined;
    const error = await errorOf(ask, answer, { missing: 'MANIFEST_UNKNOWN', clock: this.#clock });
    if (error.code === 'UNAUTHORIZED' && challenge !== undefined) return { challenge };
    if (error.code === 'UNAUTHORIZED' || error.code === 'DENIED') return 'denied';
    if (error.code === 'MANIFEST_UNKNOWN' || error.code === 'NAME_UNKNOWN') return 'unknown';
    throw error;
  }

  /** Ends all connections; requests under way fail. */
  async close(): Promise<void> {
    await this.#dispatcher.destroy();
  }

  async #sendWithin(maxMs: number, ask: Ask): Promise<Answer> {
    const tooLate = AbortSignal.timeout(maxMs);
    try {
      return await send(this.#dispatcher, { ...ask, signal: tooLate });
    } catch (cause) {
      if (!tooLate.aborted) throw cause;
      throw new RegistryError('REGISTRY_UNAVAILABLE', `${describe(ask)} got no answer within ${maxMs} ms`, { cause, transient: true });
    }
  }

  async #tagsPage(repository: string, url: URL, signal: AbortSignal | undefined): Promise<{ tags: string[]; next: URL | undefined }> {
    return this.#retrying(signal, async () => {
      const ask: Ask = { method: 'GET', url, headers: { accept: 'application/json' }, signal };
      const answer = await this.#sendOnce(repository, ask, 'NAME_UNKNOWN');
      const body = await readBounded(ask, answer, TAGS_PAGE_BYTES_MAX);
      return { tags: readTags(ask, body), next: nextPage(url, header(answer, 'link')) };
    });
  }

  async #open(repository: string, ask: Ask, missing: RegistryErrorCode): Promise<{ ask: Ask; answer: Answer }> {
    return this.#retrying(ask.signal, async () => ({ ask, answer: await this.#sendOnce(repository, ask, missing) }));
  }

  async #sendOnce(repository: string, ask: Ask, missing: RegistryErrorCode): Promise<Answer> {
    const answer = await this.#access.send(ask, repository);
    if (answer.status === 200 || (answer.status === 206 && ask.headers['range'] !== undefined)) return answer;
    throw await errorOf(ask, answer, { missing, clock: this.#clock });
  }

  #retrying<T>(signal: AbortSignal | undefined, call: () => Promise<T>): Promise<T> {
    const judge = (error: unknown): { retry: boolean; askedWaitMs?: number | undefined } =>
      error instanceof RegistryError ? { retry: error.transient, askedWaitMs: error.retryAfterMs } : { retry: false };
    return retrying({ clock: this.#clock, policy: this.#limits.retry, judge, signal }, call);
  }

  /** Repository names, tags and digests need no escaping: their grammars have no character that a URL's path would read otherwise. */
  #endpoint(repository: string, rest: string): URL {
    return new URL(`v2/${parseRepositoryName(repository)}/${rest}`, this.#url);
  }
}

function isHeaderValue(text: string): boolean {
  return text.length <= AUTHORIZATION_LENGTH_MAX && /^[\t\x20-\x7e]*$/.test(text);
}

function readTags(ask: Ask, body: Buffer): string[] {
  try {
    const { tags } = JSON.parse(body.toString()) as { tags?: unknown };
    // Go's registries answer null for none.
    if (tags === null || tags === undefined) return [];
    if (Array.isArray(tags) && tags.every((tag) => typeof tag === 'string')) return tags;
  } catch (cause) {
    throw new RegistryError('REGISTRY_PROTOCOL', `${describe(ask)} answered no JSON`, { cause });
  }
  throw new RegistryError('REGISTRY_PROTOCOL', `${describe(ask)} answered no list of tags`);
}

/** The `next` of a `Link` header (RFC 8288); it must stay at the registry, for our authority goes with it. */
function nextPage(from: URL, link: string | undefined): URL | undefined {
  const target = /<([^>]*)>\s*;[^,]*\brel="?next"?/i.exec(link ?? '')?.[1];
  if (target === undefined) return undefined;
  const url = URL.canParse(target, from.href) ? new URL(target, from) : undefined;
  if (url?.origin !== from.origin) throw new RegistryError('REGISTRY_PROTOCOL', `${from.origin} continues its list of tags at another host`);
  return url;
}
