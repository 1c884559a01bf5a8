import { parseDigest } from '#oci';
import type { Digest } from '#oci';
import { isRegionName, type RegionName } from '#regions';

import { PlacementError } from '../placement-error.js';

/** A line of events may be this long, in characters: names, and nothing else, are in it. */
export const EVENT_LINE_LENGTH_MAX = 16_384;

interface EventOfImage {
  /** When it happened. */
  readonly at: Date;
  /** Where: of a push the region that it was made to, of a pull the node's, of a pin the region that is to have the image. */
  readonly region: RegionName;
  readonly repository: string;
  readonly image: Digest;
}

/** One event of a history. */
export type ReplayEvent =
  | (EventOfImage & { readonly kind: 'push' })
  | (EventOfImage & { readonly kind: 'delete' })
  | (EventOfImage & { readonly kind: 'pull'; /** Who pulled; any text that stands for one client. */ readonly client: string })
  | (EventOfImage & { readonly kind: 'pin'; /** Until when; without it, from then on. */ readonly until?: Date });

const KINDS = ['push', 'pull', 'delete', 'pin'] as const;

/**
 * Reads one line of a history: a JSON object `{ "kind": "push" | "pull" | "delete" | "pin", "time", "region", "repository", "image" }`, a pull with `"client"`, a pin
 * with `"until"` where it ends.
 * @param where names the line in errors, such as `events line 7`.
 * @throws {PlacementError} `REPLAY_INVALID`, naming field, value and rule.
 */
export function parseReplayEvent(line: string, where: string): ReplayEvent {
  const fields = parseReplayLine(line, where);
  const { kind } = fields;
  if (!isKind(kind)) throw invalid(where, 'kind', kind, `is one of ${KINDS.join(', ')}`);
  const of = {
    at: timeOf(fields, 'time', where),
    region: regionOf(fields, 'region', where),
    repository: textOf(fields, 'repository', where),
    image: digestField(fields, 'image', where),
  };
  if (kind === 'pull') return { kind, ...of, client: textOf(fields, 'client', where) };
  if (kind === 'pin') return { kind, ...of, ...(fields.until === undefined ? {} : { until: timeOf(fields, 'until', where) }) };
  return { kind, ...of };
}

/** Writes an event as the line that {@link parseReplayEvent} reads, without a line feed. */
export function formatReplayEvent(event: ReplayEvent): string {
  const { kind, at, region, repository, image } = event;
  return JSON.stringify({
    kind, time: at.toISOString(), region, repository, image,
    ...(event.kind === 'pull' ? { client: event.client } : {}),
    ...(event.kind === 'pin' && event.until !== undefined ? { until: event.until.toISOString() } : {}),
  });
}

/** The object that a line holds. @throws {PlacementError} `REPLAY_INVALID`. */
export function parseReplayLine(line: string, where: string): Readonly<Record<string, unknown>> {
  if (line.length > EVENT_LINE_LENGTH_MAX * 64) throw new PlacementError('REPLAY_INVALID', `${where} has ${line.length} characters, and may have ${EVENT_LINE_LENGTH_MAX * 64}`);
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new PlacementError('REPLAY_INVALID', `${where} is no JSON: ${JSON.stringify(line.slice(0, 80))}`, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new PlacementError('REPLAY_INVALID', `${where} is no JSON object: ${JSON.stringify(line.slice(0, 80))}`);
  return value as Record<string, unknown>;
}

/** The error for a field that breaks its rule. */
export function invalid(where: string, field: string, value: unknown, rule: string): PlacementError {
  return new PlacementError('REPLAY_INVALID', `${where}: ${field} ${rule}, and is ${(JSON.stringify(value) ?? 'missing').slice(0, 100)}`, { details: { where, field } });
}

/** A text that is not empty. @throws {PlacementError} `REPLAY_INVALID`. */
export function textOf(fields: Readonly<Record<string, unknown>>, field: string, where: string): string {
  const value = fields[field];
  if (typeof value !== 'string' || value === '' || value.length > EVENT_LINE_LENGTH_MAX) throw invalid(where, field, value, `is a text of 1 to ${EVENT_LINE_LENGTH_MAX} characters`);
  return value;
}

/** A region's name. @throws {PlacementError} `REPLAY_INVALID`. */
export function regionOf(fields: Readonly<Record<string, unknown>>, field: string, where: string): RegionName {
  const value = fields[field];
  if (typeof value !== 'string' || !isRegionName(value)) throw invalid(where, field, value, 'is the name of a region: lower-case letters and digits');
  return value;
}

/** A digest. @throws {PlacementError} `REPLAY_INVALID`. */
export function digestField(fields: Readonly<Record<string, unknown>>, field: string, where: string): Digest {
  const value = textOf(fields, field, where);
  try {
    return parseDigest(value);
  } catch (cause) {
    throw new PlacementError('REPLAY_INVALID', `${where}: ${field} is a sha256 digest, and is ${JSON.stringify(value.slice(0, 100))}`, { cause, details: { where, field } });
  }
}

/** A number of bytes, or of anything else that is whole and not negative. @throws {PlacementError} `REPLAY_INVALID`. */
export function countOf(fields: Readonly<Record<string, unknown>>, field: string, where: string): number {
  const value = fields[field];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw invalid(where, field, value, 'is a whole number from 0');
  return value;
}

function timeOf(fields: Readonly<Record<string, unknown>>, field: string, where: string): Date {
  const value = fields[field];
  const at = new Date(typeof value === 'string' ? value : Number.NaN);
  if (Number.isNaN(at.getTime())) throw invalid(where, field, value, 'is a time such as 2026-06-01T12:00:00Z');
  return at;
}

function isKind(value: unknown): value is ReplayEvent['kind'] {
  return typeof value === 'string' && (KINDS as readonly string[]).includes(value);
}
