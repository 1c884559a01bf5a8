import { type Digest, isDigest, isRepositoryName, isTag, type Reference } from '#oci';

/** The part of a registry that a path is for; `attributes` is the data plane of Azure Container Registry. */
export type RelayedPart = 'base' | 'manifests' | 'blobs' | 'uploads' | 'tags' | 'referrers' | 'catalogue' | 'attributes' | 'other';

/** What a deletion of a path removes: a repository with all that is in it, or one tag or manifest of it. */
export interface Removable {
  readonly repository: string;
  readonly reference?: Reference;
}

/** A path below `/v2/` or `/acr/v1/` that may be passed on. */
export interface RelayedPath {
  readonly part: RelayedPart;
  /** As the client wrote it, still to be judged by the registry. */
  readonly path: string;
  /** Only of manifests whose repository and reference follow the grammar. */
  readonly manifest?: { readonly repository: string; readonly reference: Reference };
  /** Only of blobs whose repository and digest follow the grammar. */
  readonly blob?: { readonly repository: string; readonly digest: Digest };
  /** Only of attributes, of a repository, tag or manifest whose names follow the grammar. */
  readonly removable?: Removable;
}

/** The longest path that is passed on, its query included. */
export const RELAYED_PATH_LENGTH_MAX = 8192;

const ATTRIBUTES = '/acr/v1/';
const PARTS: readonly (readonly [RegExp, RelayedPart])[] = [
  [/^\/v2\/?$/, 'base'],
  [/^\/v2\/_catalog$/, 'catalogue'],
  [/\/manifests\/[^/]+$/, 'manifests'],
  [/\/blobs\/uploads\/[^/]*$/, 'uploads'],
  [/\/blobs\/[^/]+$/, 'blobs'],
  [/\/tags\/list$/, 'tags'],
  [/\/referrers\/[^/]+$/, 'referrers'],
];

/**
 * Reads a request's path. Undefined for one that a registry and this service might read differently, so that it must not be passed on: dot segments, also escaped, escaped
 * slashes, backslashes, empty segments, and bytes that no path has.
 */
export function parseRelayedPath(path: string): RelayedPath | undefined {
  if (path.length > RELAYED_PATH_LENGTH_MAX || !/^\/(?:v2(?:\/|$)|acr\/v1\/)/.test(path)) return undefined;
  if (!/^[\x21-\x7e]*$/.test(path) || /[\\#?"<>^`{|}]|%2f|%5c|%00|\/\//i.test(path)) return undefined;
  if (path.split('/').some((segment) => /^(?:\.|%2e){1,2}$/i.test(segment))) return undefined;
  if (path.startsWith(ATTRIBUTES)) return { part: 'attributes', path, ...removableNamed(path) };
  const part = PARTS.find(([pattern]) => pattern.test(path))?.[1] ?? 'other';
  const { repository, reference } = /^\/v2\/(?<repository>.+)\/manifests\/(?<reference>[^/]+)$/.exec(path)?.groups ?? {};
  const named = repository !== undefined && reference !== undefined && isRepositoryName(repository) ? referenceOf(reference) : undefined;
  return { part, path, ...(named === undefined || repository === undefined ? {} : { manifest: { repository, reference: named } }), ...blobNamed(path) };
}

/** Whether a path is for one of the lists of Azure Container Registry's data plane, or for an entry of one; the attributes of a repository themselves are not. */
export function isAttributesList(path: string): boolean {
  return /^\/acr\/v1\/(?:_catalog|.+\/_(?:tags|manifests)(?:\/[^/]*)?)$/.test(path);
}

function removableNamed(path: string): Pick<RelayedPath, 'removable'> {
  const [, repository = '', list, text = ''] = /^\/acr\/v1\/(.+?)(?:\/_(tags|manifests)\/([^/]+))?$/.exec(path) ?? [];
  if (!isRepositoryName(repository)) return {};
  if (list === undefined) return { removable: { repository } };
  const reference = referenceOf(text);
  return reference?.kind === (list === 'tags' ? 'tag' : 'digest') ? { removable: { repository, reference } } : {};
}

function blobNamed(path: string): Pick<RelayedPath, 'blob'> {
  const { repository, text } = /^\/v2\/(?<repository>.+)\/blobs\/(?<text>[^/]+)$/.exec(path)?.groups ?? {};
  const digest = text?.replaceAll(/%3a/gi, ':');
  return repository !== undefined && digest !== undefined && isRepositoryName(repository) && isDigest(digest) ? { blob: { repository, digest } } : {};
}

function referenceOf(text: string): Reference | undefined {
  const plain = text.replaceAll(/%3a/gi, ':');
  if (isDigest(plain)) return { kind: 'digest', digest: plain };
  return isTag(plain) ? { kind: 'tag', tag: plain } : undefined;
}
