/** 100-nanosecond intervals since 0001-01-01, as .NET counts and as Azure writes into ETags. */
export type Ticks = bigint;

const TICKS_AT_EPOCH = 621_355_968_000_000_000n;
let last: Ticks = 0n;

/** This instant in ticks, greater than every one given before: two changes in one millisecond still differ. */
export function nextTicks(): Ticks {
  const now = ticksAt(Date.now());
  last = now > last ? now : last + 1n;
  return last;
}

/** An instant (milliseconds since the epoch, rounded down) in ticks. */
export function ticksAt(epochMs: number): Ticks {
  return BigInt(Math.floor(epochMs)) * 10_000n + TICKS_AT_EPOCH;
}

/** `"0x8DE52D6F1562DCA"`: the ETag of something last changed at `ticks`. */
export function etagOf(ticks: Ticks): string {
  return `"0x${ticks.toString(16).toUpperCase()}"`;
}

/** `2026-01-13T19:07:18.0000000Z`, with all seven digits. */
export function isoOf(ticks: Ticks): string {
  const fraction = (ticks % 10_000_000n).toString().padStart(7, '0');
  return `${new Date(epochMsOf(ticks)).toISOString().slice(0, 19)}.${fraction}Z`;
}

/** Reads an instant as {@link isoOf} writes it, with up to seven digits; undefined for a text that is none. */
export function parseTicks(text: string): Ticks | undefined {
  const match = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,7}))?Z$/.exec(text);
  const epochMs = match === null ? Number.NaN : Date.parse(`${match[1]}Z`);
  return Number.isNaN(epochMs) ? undefined : ticksAt(epochMs) + BigInt((match?.[2] ?? '').padEnd(7, '0'));
}

/** `Tue, 13 Jan 2026 19:07:18 GMT`, as in Last-Modified. */
export function httpDateOf(ticks: Ticks): string {
  return new Date(epochMsOf(ticks)).toUTCString();
}

function epochMsOf(ticks: Ticks): number {
  return Number((ticks - TICKS_AT_EPOCH) / 10_000n);
}
