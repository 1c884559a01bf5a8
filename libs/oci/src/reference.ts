import { type Digest, isDigest } from './digest.js';
import { OciError } from './oci-error.js';

/** The longest repository name: what registries in use accept (distribution's limit for the whole name). */
export const REPOSITORY_NAME_LENGTH_MAX = 255;

const REPOSITORY_NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

/** What a manifest is asked for by: a tag, which may move, or a digest, which may not. */
export type Reference = { readonly kind: 'tag'; readonly tag: string } | { readonly kind: 'digest'; readonly digest: Digest };

/** True when `text` is a repository name by the grammar of OCI distribution-spec 1.1 ("Pulling manifests") within the length limit. */
export function isRepositoryName(text: string): boolean {
  return text.length <= REPOSITORY_NAME_LENGTH_MAX && REPOSITORY_NAME.test(text);
}

/**
 * Reads a repository name such as `team/app`.
 * @throws {OciError} `NAME_INVALID` when it does not follow the grammar or is too long.
 */
export function parseRepositoryName(text: string): string {
  if (!isRepositoryName(text)) {
    throw new OciError(
      'NAME_INVALID',
      `repository name ${JSON.stringify(text.slice(0, 100))} must be lower-case path components joined by '/', at most ${REPOSITORY_NAME_LENGTH_MAX} characters`,
    );
  }
  return text;
}

/** True when `text` is a tag by the grammar of OCI distribution-spec 1.1. */
export function isTag(text: string): boolean {
  return TAG.test(text);
}

/**
 * Reads a tag or a digest.
 * @throws {OciError} `REFERENCE_INVALID` when it is neither.
 */
export function parseReference(text: string): Reference {
  if (isDigest(text)) return { kind: 'digest', digest: text };
  if (isTag(text)) return { kind: 'tag', tag: text };
  throw new OciError('REFERENCE_INVALID', `reference ${JSON.stringify(text.slice(0, 140))} is neither a tag nor a sha256 digest`);
}

/** The wire form of a reference: the tag, or the digest. */
export function formatReference(reference: Reference): string {
  return reference.kind === 'tag' ? reference.tag : reference.digest;
}
