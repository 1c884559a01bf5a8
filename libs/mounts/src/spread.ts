import type { Digest } from '#oci';

const DIGITS = 4;

/** From 0 up to 1, always the same for the same digest and as good as drawn: what begins together is to fall due one by one. */
export function spreadOf(digest: Digest): number {
  return Number.parseInt(digest.slice(-DIGITS), 16) / 16 ** DIGITS;
}
