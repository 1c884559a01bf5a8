import { z } from 'zod';

import { bareMediaType, isDigest, isRepositoryName, isTag } from '#oci';
import { MiB } from '#quantities';

import { RegistryError } from './registry-error.js';
import type { RegistryEvent } from './registry-event.js';

/** The longest notification that is read, in bytes: an event is below 2 KiB, and registries send few at a time. */
export const NOTIFICATION_BYTES_MAX = 1 * MiB;
/** Events of one notification. */
export const NOTIFICATION_EVENTS_MAX = 1000;

const ENVELOPE_TYPE = /^application\/vnd\.docker\.distribution\.events\.v[12]\+json$/;

/** True when a `Content-Type` header names the event envelope of the CNCF distribution registry, version 1 or 2. */
export function isRegistryEnvelope(contentType: string | undefined): boolean {
  return ENVELOPE_TYPE.test(bareMediaType(contentType));
}

/** What a notification held. */
export interface RegistryNotification {
  readonly events: readonly RegistryEvent[];
  /** Events that could not be understood. They are no failure: a registry repeats what is refused, and holds everything else up meanwhile. */
  readonly skippedCount: number;
}

const envelopeSchema = z.object({ events: z.array(z.unknown()).nullish() });
const text = (max: number): z.ZodType<string | undefined> =>
  z
    .string()
    .max(max)
    .nullish()
    .catch(undefined)
    .transform((value) => (value === null || value === '' ? undefined : value));
const eventSchema = z.object({
  id: z.string().min(1).max(256),
  timestamp: z.string().max(64),
  action: z.enum(['push', 'pull', 'mount', 'delete']),
  target: z.object({
    repository: z.string().refine(isRepositoryName),
    digest: text(256),
    tag: text(256),
    mediaType: text(255),
  }),
  request: z.object({ addr: text(256), useragent: text(1024) }).nullish().catch(undefined),
});

/**
 * Reads the event envelope of the CNCF distribution registry (notifications/event.go, "Envelope"). Unknown members are ignored, and an
 * event that cannot be understood is skipped and counted.
 * @throws {RegistryError} `NOTIFICATION_TOO_LARGE` beyond a limit; `NOTIFICATION_INVALID` when it is no JSON object with a list of events.
 */
export function parseRegistryEnvelope(body: Uint8Array): RegistryNotification {
  if (body.byteLength > NOTIFICATION_BYTES_MAX) {
    throw new RegistryError('NOTIFICATION_TOO_LARGE', `the notification is ${body.byteLength} bytes long, more than ${NOTIFICATION_BYTES_MAX}`);
  }
  const envelope = envelopeSchema.safeParse(parseJson(body));
  if (!envelope.success) throw new RegistryError('NOTIFICATION_INVALID', 'the notification is no object with a list of events');
  const entries = envelope.data.events ?? [];
  if (entries.length > NOTIFICATION_EVENTS_MAX) {
    throw new RegistryError('NOTIFICATION_TOO_LARGE', `the notification has ${entries.length} events, more than ${NOTIFICATION_EVENTS_MAX}`);
  }
  const events = entries.map(readEvent).filter((event) => event !== undefined);
  return { events, skippedCount: entries.length - events.length };
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (cause) {
    throw new RegistryError('NOTIFICATION_INVALID', 'the notification is not JSON', { cause });
  }
}

function readEvent(entry: unknown): RegistryEvent | undefined {
  const parsed = eventSchema.safeParse(entry);
  if (!parsed.success) return undefined;
  const { id, timestamp, action, target, request } = parsed.data;
  const at = new Date(timestamp);
  if (Number.isNaN(at.getTime())) return undefined;
  const { repository, digest, tag, mediaType } = target;
  // A digest or tag outside our grammar names nothing that we could ask for.
  if ((digest !== undefined && !isDigest(digest)) || (tag !== undefined && !isTag(tag))) return undefined;
  return {
    id,
    action,
    repository,
    at,
    ...(digest === undefined ? {} : { digest }),
    ...(tag === undefined ? {} : { tag }),
    ...(mediaType === undefined ? {} : { mediaType }),
    ...(request ? { from: fromOf(request.addr, request.useragent) } : {}),
  };
}

function fromOf(address: string | undefined, userAgent: string | undefined): NonNullable<RegistryEvent['from']> {
  return { ...(address === undefined ? {} : { address }), ...(userAgent === undefined ? {} : { userAgent }) };
}
