import { type Digest } from '#oci';

/** Bytes of room that a writer begins with. */
const ROOM_BYTES = 128 * 1024;
const PREFIX = 'sha256:';

/** Numbers, texts and digests in a row of bytes, to be written or to be read. Numbers are LEB128: seven bits a byte, the lowest first. */
export class SnapshotText {
  #bytes: Buffer;
  #at = 0;
  readonly #end: number;

  /** With `content` it is read, from its beginning. */
  constructor(content?: Buffer) {
    this.#bytes = content ?? Buffer.allocUnsafe(ROOM_BYTES);
    this.#end = content?.length ?? 0;
  }

  /** How many bytes were written since the last `take`. */
  get length(): number {
    return this.#at;
  }

  /** True when everything was read. */
  get ended(): boolean {
    return this.#at >= this.#end;
  }

  /** What was written, as a copy; the next write begins anew. */
  take(): Buffer {
    const content = Buffer.from(this.#bytes.subarray(0, this.#at));
    this.#at = 0;
    return content;
  }

  /** A whole number from 0 to 2^53 - 1. */
  putNumber(value: number): void {
    this.#room(8);
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.#bytes[this.#at++] = (rest % 0x80) | 0x80;
    this.#bytes[this.#at++] = rest;
  }

  number(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 0x80) {
      const byte = this.#bytes[this.#at++] ?? 0;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  }

  putText(value: string): void {
    const length = Buffer.byteLength(value);
    this.putNumber(length);
    this.#room(length);
    this.#at += this.#bytes.write(value, this.#at);
  }

  text(): string {
    const length = this.number();
    const value = this.#bytes.toString('utf8', this.#at, this.#at + length);
    this.#at += length;
    return value;
  }

  /** 64 hexadecimal digits in lower case, as 32 bytes. */
  putHash(value: string): void {
    this.#room(32);
    this.#at += this.#bytes.write(value, this.#at, 'hex');
  }

  hash(): string {
    const value = this.#bytes.toString('hex', this.#at, this.#at + 32);
    this.#at += 32;
    return value;
  }

  putDigest(value: Digest): void {
    this.putHash(value.slice(PREFIX.length));
  }

  digest(): Digest {
    // Joined at once: a text of two parts takes twice the room.
    return `sha256:${this.hash()}`;
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const wider = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + bytes));
    this.#bytes.copy(wider, 0, 0, this.#at);
    this.#bytes = wider;
  }
}
