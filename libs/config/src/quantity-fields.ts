import { z } from 'zod';

import { parseBytes, parseDuration, TiB } from '#quantities';

/** A duration in milliseconds, written `15m`, `250ms` or `3d`. */
export const duration = (text: string, min: number, max: number) =>
  z
    .string()
    .default(text)
    .transform((value, context) => {
      const ms = parseDuration(value);
      if (ms !== undefined && ms >= min && ms <= max) return ms;
      context.addIssue({ code: 'custom', message: `must be a duration such as ${text}, from ${min} ms to ${max} ms` });
      return z.NEVER;
    });

/** A size in bytes, written `100GiB` or as a number of bytes. */
export const bytes = (text: string, max = 256 * TiB) =>
  z
    .union([z.string(), z.number()])
    .default(text)
    .transform((value, context) => {
      const size = parseBytes(String(value));
      if (size !== undefined && size > 0 && size <= max) return size;
      context.addIssue({ code: 'custom', message: `must be a size such as ${text}, above 0 and at most ${max} bytes` });
      return z.NEVER;
    });

/** The same without a default. */
export const bytesIfGiven = (example: string) => bytes(example).optional();
