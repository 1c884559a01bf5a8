import { checkPin, isActive, type Pin, sayTheSame } from '../pin.js';
import { PinError } from '../pin-error.js';
import { type PinCursor, type PinPage, type PinQuery, PINS_MAX, PinStore } from '../pin-store.js';

/** Pins in memory: for tests, gone with the object. */
export class MemoryPinStore extends PinStore {
  readonly #pins = new Map<string, Pin>();

  async create(pin: Pin): Promise<{ pin: Pin; created: boolean }> {
    const checked = checkPin(pin);
    const stored = this.#pins.get(pin.id);
    if (stored !== undefined) {
      if (sayTheSame(stored, checked)) return { pin: stored, created: false };
      throw new PinError('PIN_CONFLICT', `pin ${pin.id} exists and says something else`, { details: { id: pin.id } });
    }
    if (this.#pins.size >= PINS_MAX) throw new PinError('PINS_TOO_MANY', `there are ${PINS_MAX} pins already`, { details: { max: PINS_MAX } });
    this.#pins.set(pin.id, checked);
    return { pin: checked, created: true };
  }

  async get(id: string): Promise<Pin | undefined> {
    return this.#pins.get(id);
  }

  async list(query: PinQuery): Promise<PinPage> {
    const { repository, region, activeAt, after, limit } = query;
    const matching = [...this.#pins.values()]
      .filter((pin) => repository === undefined || pin.repository === repository)
      .filter((pin) => region === undefined || pin.regions.includes(region))
      .filter((pin) => activeAt === undefined || isActive(pin, activeAt))
      .filter((pin) => after === undefined || compare(pin, after) > 0)
      .toSorted(compare);
    const pins = matching.slice(0, limit);
    const last = pins.at(-1);
    return { pins, ...(last === undefined || pins.length < limit ? {} : { next: { createdAt: last.createdAt, id: last.id } }) };
  }

  async delete(id: string): Promise<boolean> {
    return this.#pins.delete(id);
  }

  async pruneExpired(before: Date, limit: number): Promise<number> {
    const expired = [...this.#pins.values()]
      .filter((pin) => pin.expiresAt !== undefined && pin.expiresAt < before)
      .toSorted((a, b) => (a.expiresAt?.getTime() ?? 0) - (b.expiresAt?.getTime() ?? 0))
      .slice(0, limit);
    for (const pin of expired) this.#pins.delete(pin.id);
    return expired.length;
  }
}

function compare(a: PinCursor, b: PinCursor): number {
  return a.createdAt.getTime() - b.createdAt.getTime() || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}
