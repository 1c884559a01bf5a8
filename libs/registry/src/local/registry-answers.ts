import type { ServerResponse } from 'node:http';

import { digestOf, isDigest, isTag, layerFormatOf, MANIFEST_BYTES_MAX, parseManifest } from '#oci';

import type { StoredManifest, StoredRepository } from './registry-contents.js';
import { answer, answerJson, type Exchange, refuse } from './registry-exchange.js';
import type { RegistryFault } from './registry-faults.js';
import type { RegistryBackstage } from './registry-uploads.js';

/** Answers requests for manifests: by tag or digest, reading, writing and deleting. */
export async function answerManifest(exchange: Exchange, stage: RegistryBackstage, fault: RegistryFault | undefined): Promise<void> {
  const { method, target } = exchange;
  if (!isTag(target) && !isDigest(target)) return refuse(exchange, 400, 'MANIFEST_INVALID');
  if (method === 'PUT') return putManifest(exchange, stage);
  const repository = stage.contents.get(exchange.repository);
  if (repository === undefined) return refuse(exchange, 404, 'NAME_UNKNOWN');
  if (method === 'DELETE') {
    const gone = repository.remove(target);
    if (gone === undefined) return refuse(exchange, 404, 'MANIFEST_UNKNOWN');
    stage.notifier.tell(exchange, { action: 'delete', target: gone });
    return answer(exchange, 202);
  }
  const manifest = repository.find(target);
  if (manifest === undefined) return refuse(exchange, 404, 'MANIFEST_UNKNOWN');
  const headers = { 'content-type': manifest.mediaType, 'content-length': manifest.bytes.length, 'docker-content-digest': manifest.digest };
  if (method === 'HEAD') return answer(exchange, 200, headers);
  stage.notifier.tell(exchange, { action: 'pull', target: describeManifest(exchange, manifest) });
  exchange.response.writeHead(200, headers);
  await sendBody(exchange, [manifest.bytes], fault);
}

async function putManifest(exchange: Exchange, stage: RegistryBackstage): Promise<void> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of exchange.request as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > MANIFEST_BYTES_MAX) return refuse(exchange, 413, 'MANIFEST_INVALID');
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  const manifest: StoredManifest = { digest: digestOf(bytes), mediaType: exchange.request.headers['content-type'] ?? '', bytes };
  const repository = stage.contents.getOrCreate(exchange.repository);
  if (isDigest(exchange.target) && exchange.target !== manifest.digest) return refuse(exchange, 400, 'DIGEST_INVALID');
  const problem = problemOf(manifest, repository);
  if (problem !== undefined) return refuse(exchange, 400, problem);
  repository.manifests.set(manifest.digest, manifest);
  if (isTag(exchange.target)) repository.tags.set(exchange.target, manifest.digest);
  stage.notifier.tell(exchange, { action: 'push', target: describeManifest(exchange, manifest) });
  answer(exchange, 201, { location: `/v2/${exchange.repository}/manifests/${manifest.digest}`, 'docker-content-digest': manifest.digest });
}

/** What a manifest refers to must be there before it. */
function problemOf(manifest: StoredManifest, repository: StoredRepository): string | undefined {
  try {
    const parsed = parseManifest(manifest.bytes, manifest.mediaType);
    if (parsed.kind === 'index') return parsed.manifests.every((child) => repository.manifests.has(child.digest)) ? undefined : 'MANIFEST_UNKNOWN';
    const needed = [parsed.config, ...parsed.layers.filter((layer) => layerFormatOf(layer.mediaType)?.foreign !== true)];
    return needed.every((blob) => repository.blobs.has(blob.digest)) ? undefined : 'MANIFEST_BLOB_UNKNOWN';
  } catch {
    return 'MANIFEST_INVALID';
  }
}

function describeManifest(exchange: Exchange, manifest: StoredManifest): Record<string, unknown> {
  const { digest, mediaType, bytes } = manifest;
  const url = `${exchange.url.origin}/v2/${exchange.repository}/manifests/${digest}`;
  return { mediaType, digest, size: bytes.length, length: bytes.length, url, ...(isTag(exchange.target) ? { tag: exchange.target } : {}) };
}

/** Answers requests for blobs, whole or one range of them. */
export async function answerBlob(exchange: Exchange, stage: RegistryBackstage, fault: RegistryFault | undefined): Promise<void> {
  const { method, target } = exchange;
  const repository = stage.contents.get(exchange.repository);
  const sizeBytes = isDigest(target) && repository?.blobs.has(target) === true ? await stage.vault.sizeOf(target) : undefined;
  if (!isDigest(target) || repository === undefined || sizeBytes === undefined) {
    return refuse(exchange, 404, repository === undefined ? 'NAME_UNKNOWN' : 'BLOB_UNKNOWN');
  }
  if (method === 'DELETE') {
    repository.blobs.delete(target);
    stage.notifier.tell(exchange, { action: 'delete', target: { digest: target } });
    return answer(exchange, 202);
  }
  const headers = { 'content-type': 'application/octet-stream', 'docker-content-digest': target, 'accept-ranges': 'bytes' };
  if (method === 'HEAD') return answer(exchange, 200, { ...headers, 'content-length': sizeBytes });
  const asked = fault?.kind === 'no-ranges' ? undefined : exchange.request.headers.range;
  const range = asked === undefined ? { start: 0, end: sizeBytes } : rangeOf(asked, sizeBytes);
  if (range === undefined) return refuse(exchange, 416, 'RANGE_INVALID', { 'content-range': `bytes */${sizeBytes}` });
  const partial = asked === undefined ? {} : { 'content-range': `bytes ${range.start}-${range.end - 1}/${sizeBytes}` };
  exchange.response.writeHead(asked === undefined ? 200 : 206, { ...headers, ...partial, 'content-length': range.end - range.start });
  if (range.start === 0) stage.notifier.tell(exchange, { action: 'pull', target: { mediaType: 'application/octet-stream', digest: target, size: sizeBytes } });
  await sendBody(exchange, stage.vault.read(target, range.start, range.end), fault);
}

function rangeOf(header: string, sizeBytes: number): { start: number; end: number } | undefined {
  const match = /^bytes=(\d+)-(\d*)$/.exec(header);
  if (match === null) return undefined;
  const start = Number(match[1]);
  const end = match[2] === '' ? sizeBytes : Math.min(Number(match[2]) + 1, sizeBytes);
  return start < end ? { start, end } : undefined;
}

async function sendBody(exchange: Exchange, chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>, fault: RegistryFault | undefined): Promise<void> {
  const { response } = exchange;
  let sentBytes = 0;
  for await (const whole of chunks) {
    let chunk = whole;
    if (fault?.kind === 'cut' || fault?.kind === 'stall') chunk = whole.subarray(0, fault.afterBytes - sentBytes);
    if (fault?.kind === 'wrong-byte' && fault.at >= sentBytes && fault.at < sentBytes + whole.length) {
      chunk = Uint8Array.from(whole);
      chunk[fault.at - sentBytes] = (chunk[fault.at - sentBytes] ?? 0) ^ 1;
    }
    sentBytes += chunk.length;
    if (!response.write(chunk)) await drained(response);
    if (response.destroyed) return;
    if (chunk.length < whole.length || (fault?.kind === 'cut' && fault.afterBytes === sentBytes)) {
      // What was written must leave before the connection goes.
      if (fault?.kind === 'cut') await new Promise<void>((resolve) => response.write('', () => resolve()));
      if (fault?.kind === 'cut') response.destroy();
      return;
    }
  }
  response.end();
}

/** Waits until more may be written, or nobody reads any more. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });
}

/** Tags of one page when nobody asks for fewer. */
const TAGS_PAGE_MAX = 1000;

/** Answers `tags/list` in ascending order, page by page. */
export function answerTags(exchange: Exchange, stage: RegistryBackstage): void {
  const repository = stage.contents.get(exchange.repository);
  if (repository === undefined) return refuse(exchange, 404, 'NAME_UNKNOWN');
  const last = exchange.url.searchParams.get('last') ?? '';
  const limit = Math.min(Math.max(1, Number(exchange.url.searchParams.get('n') ?? TAGS_PAGE_MAX) || 1), TAGS_PAGE_MAX);
  const following = [...repository.tags.keys()].toSorted().filter((tag) => tag > last);
  const tags = following.slice(0, limit);
  const next = new URLSearchParams({ last: tags.at(-1) ?? '', n: String(limit) });
  const link = following.length > limit ? { link: `</v2/${exchange.repository}/tags/list?${next.toString()}>; rel="next"` } : {};
  answerJson(exchange, { name: exchange.repository, tags }, link);
}
