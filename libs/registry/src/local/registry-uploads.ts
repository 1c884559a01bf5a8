import { randomUUID } from 'node:crypto';

import { isDigest } from '#oci';

import type { BlobDraft, BlobVault } from './blob-vault.js';
import type { RegistryContents, StoredRepository } from './registry-contents.js';
import { answer, type Exchange, refuse } from './registry-exchange.js';
import type { RegistryNotifier } from './registry-notifier.js';

/** What requests of a {@link LocalRegistry} work on. */
export interface RegistryBackstage {
  readonly contents: RegistryContents;
  readonly vault: BlobVault;
  readonly notifier: RegistryNotifier;
}

/** Answers requests for upload sessions (OCI distribution-spec 1.1, "Pushing blobs"): whole, in chunks, or by mounting from another repository. */
export async function answerUpload(exchange: Exchange, stage: RegistryBackstage): Promise<void> {
  const repository = stage.contents.getOrCreate(exchange.repository);
  if (exchange.method === 'POST' && exchange.target === '') return begin(exchange, stage, repository);
  const draft = repository.uploads.get(exchange.target);
  if (draft === undefined) return refuse(exchange, 404, 'BLOB_UPLOAD_UNKNOWN');
  switch (exchange.method) {
    case 'GET':
      return answer(exchange, 204, progressOf(exchange, exchange.target, draft));
    case 'PATCH':
      return (await takeBody(exchange, draft)) ? answer(exchange, 202, progressOf(exchange, exchange.target, draft)) : undefined;
    case 'PUT':
      return (await takeBody(exchange, draft)) ? finish(exchange, stage, repository) : undefined;
    case 'DELETE':
      repository.uploads.delete(exchange.target);
      await draft.discard();
      return answer(exchange, 204);
    default:
      return refuse(exchange, 405, 'UNSUPPORTED');
  }
}

async function begin(exchange: Exchange, stage: RegistryBackstage, repository: StoredRepository): Promise<void> {
  const { searchParams } = exchange.url;
  const mount = searchParams.get('mount') ?? '';
  const from = searchParams.get('from') ?? '';
  if (isDigest(mount) && stage.contents.get(from)?.blobs.has(mount) === true) {
    repository.blobs.add(mount);
    const sizeBytes = await stage.vault.sizeOf(mount);
    stage.notifier.tell(exchange, { action: 'mount', target: { mediaType: 'application/octet-stream', digest: mount, size: sizeBytes, fromRepository: from } });
    return answer(exchange, 201, { location: `/v2/${exchange.repository}/blobs/${mount}`, 'docker-content-digest': mount });
  }
  const id = randomUUID();
  const draft = await stage.vault.begin();
  repository.uploads.set(id, draft);
  if (!searchParams.has('digest')) return answer(exchange, 202, progressOf(exchange, id, draft));
  if (await takeBody(exchange, draft)) await finish({ ...exchange, target: id }, stage, repository);
}

/** Appends the request's body; a `Content-Range` must begin where the session stands. @returns false when it was refused. */
async function takeBody(exchange: Exchange, draft: BlobDraft): Promise<boolean> {
  const start = /^(?:bytes )?(\d+)-\d+/.exec(exchange.request.headers['content-range'] ?? '')?.[1];
  if (start !== undefined && Number(start) !== draft.sizeBytes) {
    refuse(exchange, 416, 'RANGE_INVALID', progressOf(exchange, exchange.target, draft));
    return false;
  }
  for await (const chunk of exchange.request as AsyncIterable<Uint8Array>) await draft.append(chunk);
  return true;
}

async function finish(exchange: Exchange, stage: RegistryBackstage, repository: StoredRepository): Promise<void> {
  const draft = repository.uploads.get(exchange.target);
  const expected = exchange.url.searchParams.get('digest') ?? '';
  if (draft === undefined || !isDigest(expected)) return refuse(exchange, 400, 'DIGEST_INVALID');
  repository.uploads.delete(exchange.target);
  if ((await draft.commit(expected)) !== expected) return refuse(exchange, 400, 'DIGEST_INVALID');
  repository.blobs.add(expected);
  const { sizeBytes } = draft;
  stage.notifier.tell(exchange, { action: 'push', target: { mediaType: 'application/octet-stream', digest: expected, size: sizeBytes, length: sizeBytes } });
  answer(exchange, 201, { location: `/v2/${exchange.repository}/blobs/${expected}`, 'docker-content-digest': expected });
}

function progressOf(exchange: Exchange, id: string, draft: BlobDraft): Record<string, string> {
  return {
    location: `/v2/${exchange.repository}/blobs/uploads/${id}`,
    range: `0-${Math.max(0, draft.sizeBytes - 1)}`,
    'docker-upload-uuid': id,
  };
}
