import { isRepositoryName, formatReference, type Reference } from '#oci';
import { isRegionName, type RegionName } from '#regions';

import { PinError } from './pin-error.js';

/** An operator's rule that an image must be in the given regions until a time. Immutable: a change is a new pin. */
export interface Pin {
  /** A UUID in lower case, given by the client, so that a repeated request makes one pin. */
  readonly id: string;
  readonly repository: string;
  /** A pin by tag follows the tag: it means whatever image the tag names when a plan is made. A pin by digest never moves. */
  readonly reference: Reference;
  /** At least one, each once, in ascending order. */
  readonly regions: readonly RegionName[];
  /** From {@link PIN_PRIORITY_MIN} to {@link PIN_PRIORITY_MAX}; where room is short, the higher one gets it. */
  readonly priority: number;
  /** The pin holds before this instant and no longer at it; without it, until it is deleted. */
  readonly expiresAt?: Date;
  /** For people. */
  readonly note?: string;
  readonly createdAt: Date;
  /** Who made it, as the admin API knows its caller. */
  readonly createdBy: string;
}

/** The lowest priority of a pin. */
export const PIN_PRIORITY_MIN = -100;
/** The highest priority of a pin. */
export const PIN_PRIORITY_MAX = 100;
/** The priority of a pin that names none. */
export const PIN_PRIORITY_DEFAULT = 0;
/** Regions in one pin: more than any cloud has. */
export const PIN_REGIONS_MAX = 200;
/** Characters of a note: a paragraph, not a document. */
export const PIN_NOTE_LENGTH_MAX = 1000;
/** Characters of the author's name. */
export const PIN_AUTHOR_LENGTH_MAX = 200;

/** True when `text` can be a pin's id. */
export function isPinId(text: string): boolean {
  return UUID.test(text);
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * Checks a pin's every field, and puts its regions in order, each once.
 * @throws {PinError} `PIN_INVALID` for the first field that breaks its rule. Whether the regions exist is the caller's to check.
 */
export function checkPin(pin: Pin): Pin {
  const rules: readonly (readonly [keyof Pin, boolean, string])[] = [
    ['id', isPinId(pin.id), 'must be a UUID in lower case'],
    ['repository', isRepositoryName(pin.repository), 'must be a repository name'],
    ['regions', pin.regions.length > 0 && pin.regions.length <= PIN_REGIONS_MAX, `must name 1 to ${PIN_REGIONS_MAX} regions`],
    ['regions', pin.regions.every(isRegionName), 'must hold region names only'],
    ['priority', Number.isInteger(pin.priority) && pin.priority >= PIN_PRIORITY_MIN && pin.priority <= PIN_PRIORITY_MAX,
      `must be a whole number from ${PIN_PRIORITY_MIN} to ${PIN_PRIORITY_MAX}`],
    ['createdAt', isInstant(pin.createdAt), 'must be an instant'],
    ['expiresAt', pin.expiresAt === undefined || (isInstant(pin.expiresAt) && pin.expiresAt > pin.createdAt), 'must be later than the creation'],
    ['note', (pin.note?.length ?? 0) <= PIN_NOTE_LENGTH_MAX, `must have at most ${PIN_NOTE_LENGTH_MAX} characters`],
    ['createdBy', pin.createdBy.length > 0 && pin.createdBy.length <= PIN_AUTHOR_LENGTH_MAX, `must have 1 to ${PIN_AUTHOR_LENGTH_MAX} characters`],
  ];
  const broken = rules.find(([, holds]) => !holds);
  if (broken !== undefined) {
    const [field, , rule] = broken;
    throw new PinError('PIN_INVALID', `pin: ${field} ${rule}`, { details: { field, rule } });
  }
  return { ...pin, regions: [...new Set(pin.regions)].toSorted() };
}

/** True before the pin's expiry, and always for a pin without one. */
export function isActive(pin: Pin, now: Date): boolean {
  return pin.expiresAt === undefined || now < pin.expiresAt;
}

/** True when both say the same: everything but their ids, their authors and the time they were made. */
export function sayTheSame(a: Pin, b: Pin): boolean {
  return (
    a.repository === b.repository &&
    formatReference(a.reference) === formatReference(b.reference) &&
    [...new Set(a.regions)].toSorted().join() === [...new Set(b.regions)].toSorted().join() &&
    a.priority === b.priority &&
    a.expiresAt?.getTime() === b.expiresAt?.getTime() &&
    (a.note ?? '') === (b.note ?? '')
  );
}

function isInstant(date: Date): boolean {
  return !Number.isNaN(date.getTime());
}
