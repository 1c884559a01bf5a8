import { crc64Of } from '#shares';

import { AzureFilesError, invalidHeader } from '../azure-error.js';
import type { AnswerHeaders, Exchange } from '../exchange.js';
import { changeHeaders } from '../headers.js';
import { filePath, type Operation, type OperationContext, shareOf, writerOf } from '../operation.js';
import { PIECE_BYTES_MAX, withPieceBuffer } from '../piece-buffers.js';
import { boundedRange } from '../ranges.js';
import { refuseBody, withBody } from '../request-body.js';
import type { Entry } from '../storage/entry.js';
import { isoOf } from '../storage/ticks.js';
import { checkCrc64 } from '../structured-body.js';
import { checkRoom, findFile } from './file-operations.js';

const CRC64 = /^[A-Za-z0-9+/]{11}=$/;

/** Operations that change parts of files. */
export const rangeOperations: readonly Operation[] = [
  { name: 'Put Range From URL', method: 'PUT', target: 'path', comp: 'range', header: 'x-ms-copy-source', needs: { level: 'o', anyOf: 'w' }, run: putRangeFromUrl },
  { name: 'Put Range', method: 'PUT', target: 'path', comp: 'range', needs: { level: 'o', anyOf: 'w' }, run: putRange },
];

async function putRange(context: OperationContext): Promise<void> {
  const write = context.exchange.requiredHeader('x-ms-write').toLowerCase();
  if (write === 'clear') return clearRange(context);
  if (write !== 'update') throw invalidHeader('x-ms-write', write);
  return updateRange(context);
}

async function updateRange(context: OperationContext): Promise<void> {
  const { exchange, line, account, service } = context;
  const range = boundedRange(exchange, 'x-ms-range');
  if (range.length > PIECE_BYTES_MAX) throw new AzureFilesError('RequestBodyTooLarge', { elements: { MaxLimit: String(PIECE_BYTES_MAX) } });
  const keepsWriteTime = keepsWriteTimeOf(exchange);
  const { folder } = shareOf(context);
  checkRoom(context);
  await withBody(context, async (bytes, md5) => {
    if (bytes.length !== range.length) throw invalidHeader('Content-Length', String(bytes.length));
    await line.carry(bytes.length);
    const entry = await folder.write(filePath(context), { offset: range.offset, bytes, keepsWriteTime }, writerOf(context));
    service.traffic.add(account.name, 'ingressBytes', bytes.length);
    exchange.reply(201, { ...writeHeaders(entry), 'content-md5': md5, 'x-ms-request-server-encrypted': 'true' });
  });
}

async function clearRange(context: OperationContext): Promise<void> {
  const { exchange } = context;
  refuseBody(exchange);
  const range = { ...boundedRange(exchange, 'x-ms-range'), keepsWriteTime: keepsWriteTimeOf(exchange) };
  exchange.reply(201, writeHeaders(await shareOf(context).folder.clear(filePath(context), range, writerOf(context))));
}

async function putRangeFromUrl(context: OperationContext): Promise<void> {
  const { exchange, line, account, service } = context;
  refuseBody(exchange);
  const write = exchange.requiredHeader('x-ms-write').toLowerCase();
  if (write !== 'update') throw invalidHeader('x-ms-write', write);
  const range = boundedRange(exchange, 'x-ms-range');
  const sourceRange = boundedRange(exchange, 'x-ms-source-range');
  if (range.length > PIECE_BYTES_MAX) throw new AzureFilesError('OutOfRangeInput');
  if (sourceRange.length !== range.length) throw invalidHeader('x-ms-source-range', exchange.header('x-ms-source-range'));
  const conditions = sourceConditions(exchange);
  const keepsWriteTime = keepsWriteTimeOf(exchange);
  const target = await findFile(context);
  if (range.offset + range.length > target.sizeBytes) throw new AzureFilesError('InvalidRange');
  checkRoom(context);
  await withPieceBuffer(range.length, async (bytes) => {
    const { arrival } = await service.copySources.read({
      url: exchange.requiredHeader('x-ms-copy-source'),
      authorization: exchange.header('x-ms-copy-source-authorization'),
      keepTrailingDots: exchange.header('x-ms-source-allow-trailing-dot') === 'true',
      target: { account, line },
    }, sourceRange, bytes);
    const crc64 = crc64Of(bytes);
    await arrival;
    checkSource(bytes, crc64, conditions);
    await line.carry(bytes.length);
    const entry = await shareOf(context).folder.write(filePath(context), { offset: range.offset, bytes, keepsWriteTime }, writerOf(context));
    service.traffic.add(account.name, 'copyInBytes', bytes.length);
    exchange.reply(201, { ...writeHeaders(entry), 'x-ms-content-crc64': crc64, 'x-ms-request-server-encrypted': 'true' });
  });
}

interface SourceConditions {
  readonly expected: string | undefined;
  readonly match: string | undefined;
  readonly noneMatch: string | undefined;
}

function sourceConditions(exchange: Exchange): SourceConditions {
  const read = (name: string): string | undefined => {
    const text = exchange.header(name);
    if (text !== undefined && !CRC64.test(text)) throw invalidHeader(name, text);
    return text;
  };
  return { expected: read('x-ms-source-content-crc64'), match: read('x-ms-source-if-match-crc64'), noneMatch: read('x-ms-source-if-none-match-crc64') };
}

function checkSource(bytes: Buffer, actual: string, { expected, match, noneMatch }: SourceConditions): void {
  if (expected !== undefined) checkCrc64(bytes, expected);
  if ((match !== undefined && match !== actual) || noneMatch === actual) throw new AzureFilesError('SourceConditionNotMet');
}

function keepsWriteTimeOf(exchange: Exchange): boolean {
  const text = exchange.header('x-ms-file-last-write-time')?.toLowerCase() ?? 'now';
  if (text !== 'now' && text !== 'preserve') throw invalidHeader('x-ms-file-last-write-time', text);
  return text === 'preserve';
}

function writeHeaders({ record }: Entry): AnswerHeaders {
  return { ...changeHeaders(record.changedAt), 'x-ms-file-last-write-time': isoOf(record.writtenAt) };
}
