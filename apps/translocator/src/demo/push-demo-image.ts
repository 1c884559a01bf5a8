import { request } from 'undici';

import { type Digest, digestOf, OCI_CONFIG, OCI_MANIFEST } from '#oci';

import type { DemoImage } from './images/demo-images.js';

/** What a push sent. */
export interface PushedImage {
  readonly digest: Digest;
  /** Bytes of the blobs that were not there yet. */
  readonly sentBytes: number;
  readonly layerCount: number;
}

/** A blob to push: its bytes come when they are asked for. */
interface Blob {
  readonly digest: Digest;
  readonly sizeBytes: number;
  open(): NodeJS.ReadableStream | Buffer;
}

/** Pushes an image as any client does (OCI distribution-spec 1.1, "Pushing manifests"): blobs that are missing, then the manifest under its tag. */
export async function pushDemoImage(registryUrl: string, image: DemoImage): Promise<PushedImage> {
  const config = Buffer.from(JSON.stringify(image.config));
  const configBlob: Blob = { digest: digestOf(config), sizeBytes: config.length, open: () => config };
  let sentBytes = 0;
  for (const blob of [...image.layers, configBlob]) sentBytes += await pushBlob(`${registryUrl}/v2/${image.repository}`, blob);
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { mediaType: OCI_CONFIG, digest: configBlob.digest, size: configBlob.sizeBytes },
      layers: image.layers.map(({ mediaType, digest, sizeBytes }) => ({ mediaType, digest, size: sizeBytes })),
    }),
  );
  await send('PUT', `${registryUrl}/v2/${image.repository}/manifests/${image.tag}`, { type: OCI_MANIFEST, bytes: manifest.length, body: manifest });
  return { digest: digestOf(manifest), sentBytes, layerCount: image.layers.length };
}

/** @returns the bytes sent: none when the registry has the blob. */
async function pushBlob(repositoryUrl: string, blob: Blob): Promise<number> {
  const head = await request(`${repositoryUrl}/blobs/${blob.digest}`, { method: 'HEAD' });
  await head.body.dump();
  if (head.statusCode === 200) return 0;
  const location = await send('POST', `${repositoryUrl}/blobs/uploads/`);
  const session = new URL(location, repositoryUrl);
  session.searchParams.set('digest', blob.digest);
  await send('PUT', session.href, { type: 'application/octet-stream', bytes: blob.sizeBytes, body: blob.open() });
  return blob.sizeBytes;
}

/** @returns where the answer's `Location` points to. @throws for any status that is no success. */
async function send(method: 'POST' | 'PUT', url: string, content?: { readonly type: string; readonly bytes: number; readonly body: NodeJS.ReadableStream | Buffer }): Promise<string> {
  const headers = content === undefined ? {} : { 'content-type': content.type, 'content-length': String(content.bytes) };
  const answer = await request(url, { method, headers, body: (content?.body ?? null) as Buffer | null });
  const text = await answer.body.text();
  if (answer.statusCode >= 300) throw new Error(`${method} ${url} answered ${answer.statusCode}: ${text.slice(0, 300)}`);
  return String(answer.headers['location'] ?? '');
}
