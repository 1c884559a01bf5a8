import { type ByteRange, crc64Of } from '#shares';

import { AzureFilesError, invalidHeader } from '../azure-error.js';
import type { AnswerHeaders } from '../exchange.js';
import { changeHeaders } from '../headers.js';
import { type Operation, type OperationContext, shareOf } from '../operation.js';
import { PIECE_BYTES_MAX, withPieceBuffer } from '../piece-buffers.js';
import { askedRange, boundedRange, clipRange } from '../ranges.js';
import { refuseBody, withBody } from '../request-body.js';
import type { Entry } from '../storage/share-folder.js';
import { isoOf } from '../storage/ticks.js';
import { xmlDocument } from '../xml.js';
import { absence } from './directory-operations.js';
import { filePath } from './file-operations.js';

const CRC64 = /^[A-Za-z0-9+/]{11}=$/;

/** Operations on parts of files. */
export const rangeOperations: readonly Operation[] = [
  { name: 'Put Range', method: 'PUT', target: 'path', comp: 'range', needs: { level: 'o', anyOf: 'w' }, run: putRange },
  { name: 'List Ranges', method: 'GET', target: 'path', comp: 'rangelist', needs: { level: 'o', anyOf: 'r' }, run: listRanges },
];

async function putRange(context: OperationContext): Promise<void> {
  const { exchange } = context;
  if (exchange.header('x-ms-structured-body') !== undefined) {
    throw new AzureFilesError('UnsupportedHeader', { message: 'Structured bodies are not offered here.', elements: { HeaderName: 'x-ms-structured-body' } });
  }
  const write = exchange.requiredHeader('x-ms-write').toLowerCase();
  if (exchange.header('x-ms-copy-source') !== undefined) return putRangeFromUrl(context);
  if (write === 'clear') return clearRange(context);
  if (write !== 'update') throw invalidHeader('x-ms-write', write);
  return updateRange(context);
}

async function updateRange(context: OperationContext): Promise<void> {
  const { exchange, traffic, account } = context;
  const range = boundedRange(exchange, 'x-ms-range');
  if (range.length > PIECE_BYTES_MAX) throw new AzureFilesError('RequestBodyTooLarge', { elements: { MaxLimit: String(PIECE_BYTES_MAX) } });
  const { folder } = shareOf(context);
  await withBody(exchange, async (bytes, md5) => {
    if (bytes.length !== range.length) throw invalidHeader('Content-Length', String(bytes.length));
    const entry = await folder.write(filePath(context), range.offset, bytes);
    traffic.add(account, 'ingressBytes', bytes.length);
    exchange.reply(201, { ...writeHeaders(entry), 'content-md5': md5, 'x-ms-request-server-encrypted': 'true' });
  });
}

async function clearRange(context: OperationContext): Promise<void> {
  const { exchange } = context;
  refuseBody(exchange);
  exchange.reply(201, writeHeaders(await shareOf(context).folder.clear(filePath(context), boundedRange(exchange, 'x-ms-range'))));
}

async function putRangeFromUrl(context: OperationContext): Promise<void> {
  const { exchange, copySources, traffic, account } = context;
  refuseBody(exchange);
  const range = boundedRange(exchange, 'x-ms-range');
  const sourceRange = boundedRange(exchange, 'x-ms-source-range');
  if (range.length > PIECE_BYTES_MAX) throw new AzureFilesError('OutOfRangeInput');
  if (sourceRange.length !== range.length) throw invalidHeader('x-ms-source-range', exchange.header('x-ms-source-range'));
  const expected = exchange.header('x-ms-source-content-crc64');
  if (expected !== undefined && !CRC64.test(expected)) throw invalidHeader('x-ms-source-content-crc64', expected);
  const { folder } = shareOf(context);
  const path = filePath(context);
  const target = await folder.find(path);
  if (target === undefined) throw await absence(folder, path);
  if (range.offset + range.length > target.sizeBytes) throw new AzureFilesError('InvalidRange');
  await withPieceBuffer(range.length, async (bytes) => {
    await copySources.read(exchange.requiredHeader('x-ms-copy-source'), sourceRange, bytes);
    const crc64 = crc64Of(bytes);
    if (expected !== undefined && expected !== crc64) {
      throw new AzureFilesError('Crc64Mismatch', { elements: { UserSpecifiedCrc64: expected, ServerCalculatedCrc64: crc64 } });
    }
    const entry = await folder.write(path, range.offset, bytes);
    traffic.add(account, 'copyInBytes', bytes.length);
    exchange.reply(201, { ...writeHeaders(entry), 'x-ms-content-crc64': crc64, 'x-ms-request-server-encrypted': 'true' });
  });
}

async function listRanges(context: OperationContext): Promise<void> {
  const { exchange } = context;
  const { folder } = shareOf(context);
  const path = filePath(context);
  const entry = await folder.find(path);
  if (entry === undefined) throw await absence(folder, path);
  if (entry.kind === 'folder') throw new AzureFilesError('ResourceTypeMismatch');
  const asked = askedRange(exchange);
  const window = asked === undefined ? { offset: 0, length: entry.sizeBytes } : clipRange(asked, entry.sizeBytes);
  const ranges = entry.record.written.within(window).map(rangeElement).join('');
  exchange.replyXml(200, { ...changeHeaders(entry.record.changedAt), 'x-ms-content-length': entry.sizeBytes }, xmlDocument(`<Ranges>${ranges}</Ranges>`));
}

function writeHeaders({ record }: Entry): AnswerHeaders {
  return { ...changeHeaders(record.changedAt), 'x-ms-file-last-write-time': isoOf(record.changedAt) };
}

/** A range as the list writes it, ends included. */
function rangeElement({ offset, length }: ByteRange): string {
  return `<Range><Start>${offset}</Start><End>${offset + length - 1}</End></Range>`;
}
