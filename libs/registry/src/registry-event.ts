import { type Digest, manifestKindOf } from '#oci';

/** What happened in the registry. */
export type RegistryEventAction = 'push' | 'pull' | 'mount' | 'delete';

/**
 * Something that a registry says has happened. It is a hint, not a fact: it may come late, twice, out of order or from a liar, so that
 * whoever acts on it asks the registry first.
 */
export interface RegistryEvent {
  /** Unique among the registry's events; the same event sent again has the same id. */
  readonly id: string;
  readonly action: RegistryEventAction;
  readonly repository: string;
  /** When, by the registry's clock. */
  readonly at: Date;
  readonly digest?: Digest;
  readonly tag?: string;
  /** Of the manifest or blob; deletions often have none. */
  readonly mediaType?: string;
  /** Where the request came from, as the registry saw it: `addr` and `useragent` of its record. Often a proxy's. */
  readonly from?: { readonly address?: string; readonly userAgent?: string };
}

/**
 * The reference that should be looked at because of an event: the tag, or the digest; undefined for events that change no manifest. A tag
 * is always looked at, whatever its manifest's type: it may have moved away from an image that is recorded.
 */
export function referenceToExamine(event: RegistryEvent): string | undefined {
  if (event.action !== 'push' && event.action !== 'delete') return undefined;
  if (event.tag !== undefined) return event.tag;
  const kind = event.mediaType === undefined ? undefined : manifestKindOf(event.mediaType);
  if (kind !== undefined) return event.digest;
  return event.action === 'delete' && event.mediaType === undefined ? event.digest : undefined;
}

/** True for a node's fetching of a manifest: what may count as demand. Pulls of single blobs do not. */
export function isManifestPull(event: RegistryEvent): boolean {
  return event.action === 'pull' && event.mediaType !== undefined && manifestKindOf(event.mediaType) !== undefined;
}
