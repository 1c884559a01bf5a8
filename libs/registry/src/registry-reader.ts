import type { Descriptor, Digest, Reference } from '#oci';

/** What a registry says of a manifest without sending it. */
export interface ResolvedManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
}

/** A manifest's bytes, verified against its digest. */
export interface FetchedManifest {
  readonly digest: Digest;
  /** From the answer's `Content-Type`, without parameters; empty when it had none. */
  readonly mediaType: string;
  /** At most `MANIFEST_BYTES_MAX`. */
  readonly bytes: Uint8Array;
}

/**
 * Which blob is wanted: the part of a descriptor that matters. Without `sizeBytes`, which is only what some manifest claims, the registry's own word
 * tells whether a download was cut, and the digest alone whether it is right.
 */
export type BlobDescriptor = Pick<Descriptor, 'digest'> & Partial<Pick<Descriptor, 'sizeBytes'>>;

/**
 * Reads one OCI registry. Every method throws {@link RegistryError} (what is not there: `MANIFEST_UNKNOWN`, `NAME_UNKNOWN`, `BLOB_UNKNOWN`;
 * transient failures have been tried again already), `OciError` when bytes are not what was announced, or the reason of an aborted `signal`.
 */
export abstract class RegistryReader {
  /** Asks what a reference points to now: one HEAD. A media type is not looked at. */
  abstract resolve(repository: string, reference: Reference, signal?: AbortSignal): Promise<ResolvedManifest>;

  /** Reads a manifest or an index. @throws `RESPONSE_TOO_LARGE` beyond `MANIFEST_BYTES_MAX`. */
  abstract manifest(repository: string, reference: Reference, signal?: AbortSignal): Promise<FetchedManifest>;

  /**
   * Streams a blob. What has come out is good only once the generator has ended, as with `verifiedStream`. A download that is cut goes on
   * from where it stopped. Nothing is asked of the registry before the first byte is pulled; leaving early closes the connection.
   */
  abstract blob(repository: string, descriptor: BlobDescriptor, signal?: AbortSignal): AsyncGenerator<Uint8Array, void, undefined>;

  /** The tags of a repository in the registry's order, page by page, at most `TAGS_MAX`. @throws `RESPONSE_TOO_LARGE` beyond that. */
  abstract tags(repository: string, signal?: AbortSignal): AsyncGenerator<string, void, undefined>;
}

/** Tags that are listed of one repository; one with more is refused as a whole rather than worked on in part. */
export const TAGS_MAX = 100_000;
