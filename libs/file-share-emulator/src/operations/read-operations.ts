import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';

import type { ByteRange } from '#shares';

import { AzureFilesError, invalidHeader } from '../azure-error.js';
import type { AnswerHeaders } from '../exchange.js';
import { contentHeaders, copyHeaders, fileSystemHeaders, leaseHeaders, metadataHeaders } from '../headers.js';
import { checkLease } from '../lease.js';
import { filePath, type Operation, type OperationContext, viewOf } from '../operation.js';
import { PIECE_BYTES_MAX, withPieceBuffer } from '../piece-buffers.js';
import { askedRange, clipRange } from '../ranges.js';
import type { Entry } from '../storage/entry.js';
import { isStructured, STRUCTURED_BODY_NAME, structuredLength, StructuredWriter } from '../structured-body.js';
import { absence, parentIdOf } from './directory-operations.js';

/** Reading files. */
export const readOperations: readonly Operation[] = [
  { name: 'Get File', method: 'GET', target: 'path', needs: { level: 'o', anyOf: 'r' }, onSnapshots: true, run: getFile },
  { name: 'Get File Properties', method: 'HEAD', target: 'path', needs: { level: 'o', anyOf: 'r' }, onSnapshots: true, run: getFileProperties },
  { name: 'Get File Metadata', method: 'GET', target: 'path', comp: 'metadata', needs: { level: 'o', anyOf: 'r' }, onSnapshots: true, run: getFileMetadata },
  { name: 'Get File Metadata', method: 'HEAD', target: 'path', comp: 'metadata', needs: { level: 'o', anyOf: 'r' }, onSnapshots: true, run: getFileMetadata },
];

async function getFile(context: OperationContext): Promise<void> {
  const { exchange, line } = context;
  const { folder } = viewOf(context);
  const entry = await findFile(context);
  const asked = askedRange(exchange);
  const range = asked === undefined ? { offset: 0, length: entry.sizeBytes } : clipRange(asked, entry.sizeBytes);
  const wantsMd5 = exchange.header('x-ms-range-get-content-md5')?.toLowerCase() === 'true';
  if (wantsMd5 && (asked === undefined || range.length > PIECE_BYTES_MAX)) throw invalidHeader('x-ms-range-get-content-md5', 'true');
  const structured = isStructured(exchange) ? new StructuredWriter() : undefined;
  const headers = { ...(await fileHeaders(context, entry, { ranged: asked !== undefined })), ...rangeHeaders(range, { isAsked: asked !== undefined, entry, structured: structured !== undefined }) };
  const end = range.offset + range.length;
  await withPieceBuffer(Math.min(PIECE_BYTES_MAX, range.length), async (buffer) => {
    let cut = line.cutAfter(range.length);
    for (let at = range.offset; at < end || at === range.offset;) {
      const bytes = buffer.subarray(0, end - at);
      await folder.read(entry.path, at, bytes);
      if (at === range.offset) {
        exchange.open(asked === undefined ? 200 : 206, { ...headers, ...(wantsMd5 ? { 'content-md5': createHash('md5').update(bytes).digest('base64') } : {}) });
        if (structured !== undefined) await send(exchange.response, structured.head(range.length));
      }
      if (bytes.length === 0) break;
      await line.carry(bytes.length);
      const [before, behind] = structured?.around(bytes) ?? [];
      line.disturb(bytes);
      if (cut !== undefined && cut < bytes.length) {
        await send(exchange.response, bytes.subarray(0, cut));
        exchange.cut();
      }
      cut = cut === undefined ? undefined : cut - bytes.length;
      if (before !== undefined) await send(exchange.response, before);
      await send(exchange.response, bytes);
      if (behind !== undefined) await send(exchange.response, behind);
      context.service.traffic.add(context.account.name, 'egressBytes', bytes.length);
      at += bytes.length;
    }
  });
  exchange.response.end(structured?.tail());
}

/** Sends a piece of a body; returns when the socket has taken all of it, so that its buffer may be used again. */
async function send(response: ServerResponse, bytes: Buffer): Promise<void> {
  if (bytes.length === 0) return;
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

function rangeHeaders(range: ByteRange, { isAsked, entry, structured }: { readonly isAsked: boolean; readonly entry: Entry; readonly structured: boolean }): AnswerHeaders {
  return {
    'content-length': structured ? structuredLength(range.length) : range.length,
    'content-range': isAsked ? `bytes ${range.offset}-${range.offset + range.length - 1}/${entry.sizeBytes}` : undefined,
    ...(structured ? { 'x-ms-structured-body': STRUCTURED_BODY_NAME, 'x-ms-structured-content-length': range.length } : {}),
  };
}

async function getFileProperties(context: OperationContext): Promise<void> {
  const entry = await findFile(context);
  context.exchange.reply(200, { ...(await fileHeaders(context, entry, { ranged: false })), 'content-length': entry.sizeBytes });
}

async function getFileMetadata(context: OperationContext): Promise<void> {
  const entry = await findFile(context);
  context.exchange.reply(200, { ...fileSystemHeaders(entry, await parentIdOf(viewOf(context).folder, entry.path)), ...metadataHeaders(entry.record.header.metadata) });
}

async function findFile(context: OperationContext): Promise<Entry> {
  const { folder } = viewOf(context);
  const path = filePath(context);
  const entry = await folder.find(path);
  if (entry === undefined) throw await absence(folder, path);
  if (entry.kind === 'folder') throw new AzureFilesError('ResourceNotFound');
  checkLease(entry.record.header.lease, { id: context.exchange.header('x-ms-lease-id'), writes: false, now: Date.now() });
  return entry;
}

async function fileHeaders(context: OperationContext, entry: Entry, options: { readonly ranged: boolean }): Promise<AnswerHeaders> {
  const { header } = entry.record;
  return {
    ...fileSystemHeaders(entry, await parentIdOf(viewOf(context).folder, entry.path)),
    ...metadataHeaders(header.metadata),
    ...contentHeaders(header.content, options),
    ...copyHeaders(header.copy),
    ...leaseHeaders(header.lease),
    'accept-ranges': 'bytes',
    'x-ms-type': 'File',
    'x-ms-server-encrypted': 'true',
    ...(context.grant.kind === 'service-sas' ? context.grant.overrides : {}),
  };
}
