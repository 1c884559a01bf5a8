import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';

import { TiB } from '#quantities';

import { type Grant } from '../access/grant.js';
import { AzureFilesError, invalidHeader } from '../azure-error.js';
import type { AnswerHeaders } from '../exchange.js';
import { contentHeaders, contentOf, fileSystemHeaders, metadataHeaders, metadataOf, numberHeader } from '../headers.js';
import { type Operation, type OperationContext, pathOf, shareOf } from '../operation.js';
import { PIECE_BYTES_MAX, withPieceBuffer } from '../piece-buffers.js';
import { askedRange, clipRange } from '../ranges.js';
import { refuseBody } from '../request-body.js';
import type { Entry } from '../storage/share-folder.js';
import { etagOf } from '../storage/ticks.js';
import { absence, parentIdOf } from './directory-operations.js';

/** The largest file. */
const FILE_BYTES_MAX = 4 * TiB;

/** Operations on whole files. */
export const fileOperations: readonly Operation[] = [
  { name: 'Create File', method: 'PUT', target: 'path', needs: { level: 'o', anyOf: 'cw' }, run: createFile },
  { name: 'Get File', method: 'GET', target: 'path', needs: { level: 'o', anyOf: 'r' }, run: getFile },
  { name: 'Get File Properties', method: 'HEAD', target: 'path', needs: { level: 'o', anyOf: 'r' }, run: getFileProperties },
  { name: 'Set File Properties', method: 'PUT', target: 'path', comp: 'properties', needs: { level: 'o', anyOf: 'w' }, run: setFileProperties },
  { name: 'Set File Metadata', method: 'PUT', target: 'path', comp: 'metadata', needs: { level: 'o', anyOf: 'w' }, run: setFileMetadata },
  { name: 'Rename File', method: 'PUT', target: 'path', comp: 'rename', needs: { level: 'o', anyOf: 'w' }, run: renameFile },
  { name: 'Delete File', method: 'DELETE', target: 'path', needs: { level: 'o', anyOf: 'd' }, run: deleteFile },
];

async function createFile(context: OperationContext): Promise<void> {
  const { exchange, grant } = context;
  refuseBody(exchange);
  if (exchange.header('x-ms-copy-source') !== undefined) {
    throw new AzureFilesError('UnsupportedHeader', { message: 'Copy File is not offered here.', elements: { HeaderName: 'x-ms-copy-source' } });
  }
  const type = exchange.requiredHeader('x-ms-type');
  if (type.toLowerCase() !== 'file') throw invalidHeader('x-ms-type', type);
  const path = filePath(context);
  const { folder } = shareOf(context);
  if (!mayOverwrite(grant) && (await folder.find(path)) !== undefined) throw new AzureFilesError('AuthorizationPermissionMismatch');
  const sizeBytes = numberHeader(exchange, 'x-ms-content-length', FILE_BYTES_MAX);
  const entry = await folder.createFile(path, { sizeBytes, content: contentOf(exchange), metadata: metadataOf(exchange) });
  exchange.reply(201, { ...fileSystemHeaders(entry, await parentIdOf(folder, path)), 'x-ms-request-server-encrypted': 'true' });
}

/** Permission to create does not cover replacing. */
function mayOverwrite(grant: Grant): boolean {
  return grant.kind === 'account-key' || grant.permissions.includes('w');
}

async function getFile(context: OperationContext): Promise<void> {
  const { exchange, traffic, account } = context;
  const { folder } = shareOf(context);
  const path = filePath(context);
  const entry = await findFile(context);
  const asked = askedRange(exchange);
  const range = asked === undefined ? { offset: 0, length: entry.sizeBytes } : clipRange(asked, entry.sizeBytes);
  const wantsMd5 = exchange.header('x-ms-range-get-content-md5')?.toLowerCase() === 'true';
  if (wantsMd5 && (asked === undefined || range.length > PIECE_BYTES_MAX)) throw invalidHeader('x-ms-range-get-content-md5', 'true');
  const end = range.offset + range.length;
  await withPieceBuffer(Math.min(PIECE_BYTES_MAX, range.length), async (buffer) => {
    for (let at = range.offset; at < end || at === range.offset;) {
      const bytes = buffer.subarray(0, end - at);
      await folder.read(path, at, bytes);
      if (at === range.offset) {
        exchange.open(asked === undefined ? 200 : 206, {
          ...(await fileHeaders(context, entry, { ranged: asked !== undefined })),
          'content-length': range.length,
          'content-range': asked === undefined ? undefined : `bytes ${range.offset}-${end - 1}/${entry.sizeBytes}`,
          ...(wantsMd5 ? { 'content-md5': createHash('md5').update(bytes).digest('base64') } : {}),
        });
      }
      if (bytes.length === 0) break;
      await send(exchange.response, bytes);
      traffic.add(account, 'egressBytes', bytes.length);
      at += bytes.length;
    }
  });
  exchange.response.end();
}

/** Sends a piece of a body; returns when the socket has taken all of it, so that its buffer may be used again. */
async function send(response: ServerResponse, bytes: Buffer): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const leave = (): void => reject(new AzureFilesError('InternalError', { message: 'The client has gone.' }));
    if (response.destroyed) return leave();
    response.once('close', leave);
    response.write(bytes, (error) => {
      response.off('close', leave);
      if (error === null || error === undefined) resolve();
      else leave();
    });
  });
}

async function getFileProperties(context: OperationContext): Promise<void> {
  const entry = await findFile(context);
  context.exchange.reply(200, { ...(await fileHeaders(context, entry, { ranged: false })), 'content-length': entry.sizeBytes });
}

async function setFileProperties(context: OperationContext): Promise<void> {
  const { exchange } = context;
  refuseBody(exchange);
  const resize = exchange.header('x-ms-content-length') === undefined ? {} : { sizeBytes: numberHeader(exchange, 'x-ms-content-length', FILE_BYTES_MAX) };
  const { folder } = shareOf(context);
  const entry = await folder.change(filePath(context), { content: contentOf(exchange), ...resize });
  exchange.reply(200, { ...fileSystemHeaders(entry, await parentIdOf(folder, pathOf(context))), 'x-ms-request-server-encrypted': 'true' });
}

async function setFileMetadata(context: OperationContext): Promise<void> {
  refuseBody(context.exchange);
  const entry = await shareOf(context).folder.change(filePath(context), { metadata: metadataOf(context.exchange) });
  context.exchange.reply(200, { etag: etagOf(entry.record.changedAt), 'x-ms-request-server-encrypted': 'true' });
}

async function renameFile(context: OperationContext): Promise<void> {
  const { exchange, copySources, grant } = context;
  refuseBody(exchange);
  const { folder, name } = shareOf(context);
  const source = copySources.renameSource(exchange.requiredHeader('x-ms-file-rename-source'), { grant, account: context.account, share: name });
  const replace = exchange.header('x-ms-file-rename-replace-if-exists')?.toLowerCase() === 'true';
  const entry = await folder.rename(source, filePath(context), { replace });
  exchange.reply(200, { ...fileSystemHeaders(entry, await parentIdOf(folder, pathOf(context))), 'x-ms-request-server-encrypted': 'true' });
}

async function deleteFile(context: OperationContext): Promise<void> {
  await shareOf(context).folder.removeFile(filePath(context));
  context.exchange.reply(202, {});
}

/** The path of a request that cannot be for the root folder. */
export function filePath(context: OperationContext): string {
  const path = pathOf(context);
  if (path === '') throw new AzureFilesError('InvalidUri');
  return path;
}

async function findFile(context: OperationContext): Promise<Entry> {
  const { folder } = shareOf(context);
  const path = filePath(context);
  const entry = await folder.find(path);
  if (entry === undefined) throw await absence(folder, path);
  if (entry.kind === 'folder') throw new AzureFilesError('ResourceNotFound');
  return entry;
}

async function fileHeaders(context: OperationContext, entry: Entry, options: { readonly ranged: boolean }): Promise<AnswerHeaders> {
  return {
    ...fileSystemHeaders(entry, await parentIdOf(shareOf(context).folder, pathOf(context))),
    ...metadataHeaders(entry.record.header.metadata),
    ...contentHeaders(entry.record.header.content, options),
    'accept-ranges': 'bytes',
    'x-ms-type': 'File',
    'x-ms-lease-status': 'unlocked',
    'x-ms-lease-state': 'available',
    'x-ms-server-encrypted': 'true',
  };
}
