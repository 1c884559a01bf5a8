import type { ByteRange } from '#shares';

import { AzureFilesError, invalidHeader } from './azure-error.js';
import type { Exchange } from './exchange.js';

/** The range header of a request: `x-ms-range` before `Range`. Its end may be open. */
export interface AskedRange {
  readonly start: number;
  /** Inclusive. */
  readonly end: number | undefined;
}

/** Reads `bytes=start-end` or `bytes=start-`. @throws {AzureFilesError} `InvalidHeaderValue`, `InvalidRange` for an end before the start. */
export function parseRange(name: string, text: string): AskedRange {
  const match = /^bytes=(\d{1,16})-(\d{0,16})$/.exec(text);
  const start = Number(match?.[1] ?? Number.NaN);
  const end = match?.[2] === undefined || match[2] === '' ? undefined : Number(match[2]);
  if (!Number.isSafeInteger(start) || (end !== undefined && !Number.isSafeInteger(end))) throw invalidHeader(name, text);
  if (end !== undefined && end < start) throw new AzureFilesError('InvalidRange');
  return { start, end };
}

/** The range that a request asks for, if it does. */
export function askedRange(exchange: Exchange): AskedRange | undefined {
  const name = exchange.header('x-ms-range') === undefined ? 'range' : 'x-ms-range';
  const text = exchange.header(name);
  return text === undefined ? undefined : parseRange(name, text);
}

/** A range that must be given with both ends. */
export function boundedRange(exchange: Exchange, name: string): ByteRange {
  const text = exchange.header(name) ?? (name === 'x-ms-range' ? exchange.header('range') : undefined) ?? exchange.requiredHeader(name);
  const { start, end } = parseRange(name, text);
  if (end === undefined) throw invalidHeader(name, text);
  return { offset: start, length: end - start + 1 };
}

/** The part of a file of `sizeBytes` that `asked` covers. @throws {AzureFilesError} `InvalidRange` when that is nothing. */
export function clipRange(asked: AskedRange, sizeBytes: number): ByteRange {
  if (asked.start >= sizeBytes) throw new AzureFilesError('InvalidRange', { headers: { 'content-range': `bytes */${sizeBytes}` } });
  return { offset: asked.start, length: Math.min(asked.end ?? sizeBytes - 1, sizeBytes - 1) - asked.start + 1 };
}
