import type { LayerTable } from './layer-record.js';
import type { MapTables } from './map-tables.js';

/** Marks a frame of layers, in its first byte. */
export const LAYERS_FRAME = 2;
/** Rows in one frame: some 120 kB, copied within a tenth of a millisecond. Columns lie in blocks of a multiple of it. */
const FRAME_ROWS_MAX = 512;
/** With very many shares a frame has fewer rows, always a power of two. */
const FRAME_ROWS_BYTES_MAX = 256 * 1024;
/** What a row takes besides the states of its replicas. */
const ROW_BYTES = 199;
/** The mark, three empty bytes, and three numbers: of the first row, how many rows, and how many bytes the states of a row's replicas take. */
const HEAD_BYTES = 16;

/**
 * All layers as the contents of frames, by their numbers. What is told of a layer was so in one instant.
 *
 * | bytes | |
 * |---|---|
 * | 16 | the mark 2, 3 empty bytes; the number of the first row; how many rows; how many bytes `c` the states of a row's replicas take: 4 bytes each |
 * | 32 a row | digests |
 * | 128, 24, 12, 1 a row | hashes, sizes, counts and flags (`layer-columns.ts`) |
 * | c, 2 a row | states of replicas, and how many there are (`replica-states.ts`) |
 * | rest | why layers were refused, as JSON: a list of pairs of number and text; nothing where none was |
 *
 * Columns are as they lie in memory.
 */
export function* layerFrames({ layers }: MapTables): Generator<Buffer, void> {
  for (let first = 0; first < layers.digests.end; ) {
    const { codeBytes } = layers.replicas;
    const rows = Math.min(rowsPerFrame(codeBytes), layers.digests.end - first);
    const columns = columnsOf(layers, { first, rows, codeBytes });
    const refusals = layers.columns.refusalsOfRows(first, rows);
    const rest = Buffer.from(refusals.length === 0 ? '' : JSON.stringify(refusals));
    const content = Buffer.allocUnsafe(HEAD_BYTES + lengthOf(columns) + rest.length);
    content.writeUInt32LE(LAYERS_FRAME, 0);
    content.writeUInt32LE(first, 4);
    content.writeUInt32LE(rows, 8);
    content.writeUInt32LE(codeBytes, 12);
    let at = HEAD_BYTES;
    for (const column of columns) {
      content.set(column, at);
      at += column.length;
    }
    content.set(rest, at);
    first += rows;
    yield content;
  }
}

/** Puts the rows of such a frame into tables that have none of them. */
export function readLayerFrame({ layers }: MapTables, content: Buffer): void {
  const [first, rows, codeBytes] = [content.readUInt32LE(4), content.readUInt32LE(8), content.readUInt32LE(12)];
  const columns = columnsOf(layers, { first, rows, codeBytes });
  if (content.length < HEAD_BYTES + lengthOf(columns)) throw new Error('a frame of layers is shorter than its rows: the bytes were checked, so their writer is wrong');
  let at = HEAD_BYTES;
  for (const column of columns) {
    column.set(content.subarray(at, at + column.length));
    at += column.length;
  }
  if (at < content.length) layers.columns.readRefusals(JSON.parse(content.toString('utf8', at)));
}

interface Rows {
  readonly first: number;
  readonly rows: number;
  readonly codeBytes: number;
}

function columnsOf({ digests, columns, replicas }: LayerTable, { first, rows, codeBytes }: Rows): readonly Uint8Array[] {
  return [digests.bytesOfRows(first, rows), ...columns.bytesOfRows(first, rows), ...replicas.bytesOfRows(first, rows, codeBytes)];
}

function rowsPerFrame(codeBytes: number): number {
  let rows = FRAME_ROWS_MAX;
  while (rows > 1 && rows * (ROW_BYTES + codeBytes) > FRAME_ROWS_BYTES_MAX) rows /= 2;
  return rows;
}

function lengthOf(columns: readonly Uint8Array[]): number {
  return columns.reduce((sum, { length }) => sum + length, 0);
}
