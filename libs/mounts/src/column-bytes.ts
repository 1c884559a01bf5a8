/** The bytes of some elements of a column as they lie in memory: reading them reads the column, and writing them writes it. */
export function bytesOfColumn(column: Int32Array | Uint8Array | Uint16Array | Float64Array, from: number, count: number): Uint8Array {
  const width = column.BYTES_PER_ELEMENT;
  return new Uint8Array(column.buffer, column.byteOffset + from * width, count * width);
}
