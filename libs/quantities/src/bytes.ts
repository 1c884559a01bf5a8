/** 1,024 bytes. */
export const KiB = 1024;
/** 1,024 KiB in bytes. */
export const MiB = 1024 * KiB;
/** 1,024 MiB in bytes. */
export const GiB = 1024 * MiB;
/** 1,024 GiB in bytes. */
export const TiB = 1024 * GiB;
/** A gigabyte as links and prices count them: 10^9 bytes. */
export const GB = 1e9;

const BYTE_UNITS: Readonly<Record<string, number>> = { '': 1, B: 1, KiB, MiB, GiB, TiB, kB: 1e3, KB: 1e3, MB: 1e6, GB, TB: 1e12 };

/**
 * Reads a size such as `100GiB`, `4 MiB`, `512` (bytes) or `1.5 GB`.
 * @returns whole bytes, or undefined when the text is no size, is negative or does not fit a safe integer.
 */
export function parseBytes(text: string): number | undefined {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*$/.exec(text);
  const unit = BYTE_UNITS[match?.[2] ?? '?'];
  if (match === null || unit === undefined) return undefined;
  const bytes = Math.round(Number(match[1]) * unit);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** Bytes for people, in binary units with three significant digits: `117 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= KiB && unit < units.length - 1) {
    value /= KiB;
    unit += 1;
  }
  return `${unit === 0 ? value : Number(value.toPrecision(3))} ${units[unit]}`;
}

/** `value` rounded up to a whole multiple of `unit`; both in the same unit, `unit` > 0. */
export function alignUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
