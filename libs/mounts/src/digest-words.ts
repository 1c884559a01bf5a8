import type { Digest } from '#oci';

/** A digest is eight numbers of 32 bits. */
export const WORDS_PER_DIGEST = 8;

const PREFIX = 'sha256:';
const DIGITS = Buffer.from('0123456789abcdef', 'latin1');
/** The value of each digit; of everything else more than any digit has. */
const VALUES = new Uint8Array(128).fill(0xff);
for (const [value, digit] of DIGITS.entries()) VALUES[digit] = value;
/** Where texts are put together: the prefix, and from an even place on the digits, two at a time. */
const TEXT = Buffer.alloc(8 + 64, PREFIX.padStart(8).padEnd(8 + 64, '0'), 'latin1');
const [TEXT_BEGIN, DIGITS_BEGIN, TEXT_END] = [1, 8, 8 + 64];
/** Both digits of each byte, as they lie in memory. */
const PAIRS = pairsOf(Buffer.from(Uint8Array.from({ length: 256 }, (_, byte) => byte)).toString('hex'));
const TEXT_PAIRS = new Uint16Array(TEXT.buffer, TEXT.byteOffset + DIGITS_BEGIN, 32);

function pairsOf(text: string): Uint16Array {
  return new Uint16Array(Uint8Array.from(Buffer.from(text, 'latin1')).buffer);
}

/**
 * Writes a digest, or the digits of a hash without a prefix, as numbers.
 * @returns false for a text that is neither; `into` is then of no use there.
 */
export function putWords(text: string, into: Int32Array, at: number): boolean {
  const prefix = text.length - 64;
  if (prefix !== 0 && (prefix !== PREFIX.length || !text.startsWith(PREFIX))) return false;
  let faults = 0;
  for (let word = 0, place = prefix; word < WORDS_PER_DIGEST; word += 1) {
    let value = 0;
    for (const end = place + 8; place < end; place += 1) {
      const code = text.charCodeAt(place);
      const digit = code < 128 ? VALUES[code]! : 0xff;
      faults |= digit;
      value = (value << 4) | digit;
    }
    into[at + word] = value;
  }
  return faults < 0x10;
}

/** The digest that was written there. One text without parts: it is kept for as long as an answer is. */
export function digestAt(words: Int32Array, at: number): Digest {
  fillText(words, at);
  return TEXT.toString('latin1', TEXT_BEGIN, TEXT_END) as Digest;
}

/** The same without its prefix: 64 hexadecimal digits. */
export function hashAt(words: Int32Array, at: number): string {
  fillText(words, at);
  return TEXT.toString('latin1', DIGITS_BEGIN, TEXT_END);
}

function fillText(words: Int32Array, at: number): void {
  for (let word = 0, place = 0; word < WORDS_PER_DIGEST; word += 1) {
    const value = words[at + word]!;
    for (let shift = 24; shift >= 0; shift -= 8, place += 1) TEXT_PAIRS[place] = PAIRS[(value >>> shift) & 0xff]!;
  }
}
