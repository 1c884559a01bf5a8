import { request } from 'undici';

import { type Descriptor, type Digest, digestOf, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, type Platform } from '#oci';

/** A layer to push: the blob as it is stored, and the digest of its uncompressed tar. */
export interface LayerToPush {
  readonly bytes: Uint8Array;
  readonly diffId: Digest;
  readonly mediaType: string;
}

/** An image to push. */
export interface ImageToPush {
  readonly layers: readonly LayerToPush[];
  readonly platform?: Platform;
  readonly createdAt?: Date;
  /** The config's member `config`: entry point, environment. */
  readonly run?: Readonly<Record<string, unknown>>;
}

/** Any manifest, as its JSON has it. */
export interface ManifestToPush {
  readonly mediaType: string;
  readonly [member: string]: unknown;
}

/** Where to push. */
export interface PushTarget {
  /** `http://127.0.0.1:5000` */
  readonly url: string;
  readonly repository: string;
  readonly authorization?: string;
}

/** A manifest that was pushed. */
export type PushedManifest = Pick<Descriptor, 'mediaType' | 'digest' | 'sizeBytes'> & { readonly platform?: Platform; readonly layers: readonly Digest[] };

const LINUX_AMD64: Platform = { os: 'linux', architecture: 'amd64' };

/** Pushes an image with its layers and config over HTTP; `reference` is a tag, or undefined to push by digest alone. */
export async function pushImage(to: PushTarget, reference: string | undefined, image: ImageToPush): Promise<PushedManifest> {
  const platform = image.platform ?? LINUX_AMD64;
  const config = Buffer.from(
    JSON.stringify({
      ...platform,
      ...(image.createdAt === undefined ? {} : { created: image.createdAt.toISOString() }),
      config: image.run ?? {},
      rootfs: { type: 'layers', diff_ids: image.layers.map((layer) => layer.diffId) },
    }),
  );
  for (const bytes of [...image.layers.map((layer) => layer.bytes), config]) await pushBlob(to, bytes);
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: OCI_CONFIG, digest: digestOf(config), size: config.length },
    layers: image.layers.map(({ mediaType, bytes }) => ({ mediaType, digest: digestOf(bytes), size: bytes.length })),
  };
  const pushed = await pushManifest(to, reference, manifest);
  return { ...pushed, platform, layers: image.layers.map((layer) => digestOf(layer.bytes)) };
}

/** Pushes an index over manifests that are there already. */
export async function pushIndex(to: PushTarget, reference: string | undefined, children: readonly PushedManifest[]): Promise<PushedManifest> {
  const manifests = children.map(({ mediaType, digest, sizeBytes, platform }) => ({ mediaType, digest, size: sizeBytes, platform }));
  return pushManifest(to, reference, { schemaVersion: 2, mediaType: OCI_INDEX, manifests });
}

/** Pushes any manifest that names its media type. */
export async function pushManifest(to: PushTarget, reference: string | undefined, manifest: ManifestToPush): Promise<PushedManifest> {
  const bytes = Buffer.from(JSON.stringify(manifest));
  const digest = digestOf(bytes);
  await call(to, 'PUT', `manifests/${reference ?? digest}`, { body: bytes, contentType: manifest.mediaType });
  return { mediaType: manifest.mediaType, digest, sizeBytes: bytes.length, layers: [] };
}

/** Pushes a blob in one request after the session has begun; a blob that is there is not sent again. */
export async function pushBlob(to: PushTarget, bytes: Uint8Array): Promise<Digest> {
  const digest = digestOf(bytes);
  if ((await call(to, 'HEAD', `blobs/${digest}`, { allowMissing: true })).status === 200) return digest;
  const { location } = await call(to, 'POST', 'blobs/uploads/', {});
  const session = new URL(location, to.url);
  session.searchParams.set('digest', digest);
  await call(to, 'PUT', session, { body: bytes, contentType: 'application/octet-stream' });
  return digest;
}

/** Deletes a tag or a manifest. */
export async function deleteManifest(to: PushTarget, reference: string): Promise<void> {
  await call(to, 'DELETE', `manifests/${reference}`, {});
}

interface CallOptions {
  readonly body?: Uint8Array;
  readonly contentType?: string;
  readonly allowMissing?: boolean;
}

type Method = 'HEAD' | 'POST' | 'PUT' | 'DELETE';

async function call(to: PushTarget, method: Method, path: string | URL, options: CallOptions): Promise<{ status: number; location: string }> {
  const url = path instanceof URL ? path : new URL(`/v2/${to.repository}/${path}`, to.url);
  const headers: Record<string, string> = {};
  if (options.contentType !== undefined) headers['content-type'] = options.contentType;
  if (to.authorization !== undefined) headers['authorization'] = to.authorization;
  const answer = await request(url, { method, headers, body: options.body ?? null });
  const text = await answer.body.text();
  const missing = options.allowMissing === true && answer.statusCode === 404;
  if (answer.statusCode >= 400 && !missing) throw new Error(`${method} ${url.pathname} answered ${answer.statusCode}: ${text.slice(0, 500)}`);
  return { status: answer.statusCode, location: String(answer.headers['location'] ?? '') };
}
