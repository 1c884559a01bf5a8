/** Every type of event that goes out, as CloudEvents names them. */
export const EVENT_TYPES = [
  /** A layer was expanded; its file stands in the home region. */
  'translocator.layer.expanded',
  /** A copy of an expanded layer is whole in a region. */
  'translocator.layer.replicated',
  /** An expanded layer's file was removed from a region. */
  'translocator.layer.evicted',
  /** All layers of an image can be mounted in a region: with the last of them, or with the image, if they were there before it. */
  'translocator.image.ready',
  /** A region that was being drained holds nothing any more. */
  'translocator.region.drained',
  /** A share refused bytes as full although by plan it has room. */
  'translocator.share.full',
] as const;

/** One of {@link EVENT_TYPES}. */
export type EventType = (typeof EVENT_TYPES)[number];

/** Where an event stands among all: ordered by transaction, then by sequence. Both are decimal text. */
export interface EventPosition {
  readonly transaction: string;
  readonly sequence: string;
}

/** What happened, as it is written down by whoever made it happen. */
export interface Happening {
  readonly type: EventType;
  /** What it happened to: a layer's digest, `repository@digest`, or a region's name. */
  readonly subject: string;
  /** By the type; JSON. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** An event that can be told. */
export interface OutwardEvent extends Happening {
  /** A UUID: the same however often the event is told. */
  readonly id: string;
  readonly at: Date;
  readonly position: EventPosition;
}

/** An event as CloudEvents 1.0 writes it in JSON. */
export interface CloudEvent {
  readonly specversion: '1.0';
  readonly id: string;
  readonly source: string;
  readonly type: EventType;
  readonly subject: string;
  /** RFC 3339. */
  readonly time: string;
  readonly datacontenttype: 'application/json';
  readonly data: Readonly<Record<string, unknown>>;
}

/** What stands for this service in every event. */
export const EVENT_SOURCE = '/translocator';

/** Writes an event as a CloudEvent. */
export function toCloudEvent({ id, type, subject, at, data }: OutwardEvent): CloudEvent {
  return { specversion: '1.0', id, source: EVENT_SOURCE, type, subject, time: at.toISOString(), datacontenttype: 'application/json', data };
}

/** A position as one text, for ids of a stream and cursors. */
export function positionText({ transaction, sequence }: EventPosition): string {
  return `${transaction}-${sequence}`;
}

/** Digits of a 64-bit number. */
const POSITION = /^(?<transaction>\d{1,19})-(?<sequence>\d{1,19})$/;
const SEQUENCE_MAX = 2n ** 63n - 1n;

/** Reads what {@link positionText} wrote; undefined for anything else. */
export function parsePosition(text: string): EventPosition | undefined {
  const { transaction, sequence } = POSITION.exec(text)?.groups ?? {};
  if (transaction === undefined || sequence === undefined) return undefined;
  return BigInt(transaction) > SEQUENCE_MAX || BigInt(sequence) > SEQUENCE_MAX ? undefined : { transaction, sequence };
}
