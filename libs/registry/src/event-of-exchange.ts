import { type Digest, isDigest, isTag, type Reference } from '#oci';

import type { RegistryEvent } from './registry-event.js';

/** A request about a manifest that a registry has answered. */
export interface ManifestExchange {
  readonly method: string;
  readonly status: number;
  readonly repository: string;
  readonly reference: Reference;
  /** The answer's `Docker-Content-Digest`. */
  readonly digest: string | undefined;
  /** Of the manifest, as the client declared it. */
  readonly mediaType: string | undefined;
  /** The answer's `OCI-Tag` headers: tags that were set besides (distribution-spec, pushing manifests). */
  readonly tags: readonly string[];
}

/**
 * What an answered request has changed, as if the registry had told of it; empty when nothing. A manifest that was pushed by tag is one event, as with registries' own
 * notifications: what is examined is the tag, and a repetition of either changes nothing.
 */
export function eventsOfExchange(exchange: ManifestExchange, about: { readonly at: Date; readonly newId: () => string; readonly from?: RegistryEvent['from'] }): RegistryEvent[] {
  const action = changeOf(exchange);
  if (action === undefined) return [];
  const { repository, reference, mediaType } = exchange;
  const digest = digestIn(exchange);
  const named = reference.kind === 'tag' ? [reference.tag] : [];
  const tags = [...new Set([...named, ...exchange.tags.filter(isTag)])];
  const base = {
    action, repository, at: about.at,
    ...(digest === undefined ? {} : { digest }),
    ...(mediaType === undefined || action === 'delete' ? {} : { mediaType }),
    ...(about.from === undefined ? {} : { from: about.from }),
  };
  const references = tags.length === 0 || reference.kind === 'digest' ? [undefined, ...tags] : tags;
  return references.map((tag) => ({ ...base, id: about.newId(), ...(tag === undefined ? {} : { tag }) }));
}

function changeOf({ method, status }: ManifestExchange): 'push' | 'delete' | undefined {
  if (method === 'PUT' && (status === 200 || status === 201)) return 'push';
  return method === 'DELETE' && (status === 200 || status === 202 || status === 204) ? 'delete' : undefined;
}

function digestIn({ reference, digest }: ManifestExchange): Digest | undefined {
  if (reference.kind === 'digest') return reference.digest;
  return digest !== undefined && isDigest(digest) ? digest : undefined;
}
