import type { DemandKey } from './observation.js';

interface Entry<Value> {
  readonly key: DemandKey;
  readonly value: Value;
  /** Of another repository with the same image. */
  next: Entry<Value> | undefined;
}

/**
 * Values by demand keys. Found by the parts of a key as they are: a text made of them for each pull would have to be put together, read and kept for each, and is most of what such a map takes.
 */
export class DemandKeyMap<Value> {
  readonly #regions = new Map<string, Map<string, Entry<Value>>>();
  #size = 0;

  /** Keys that are there. */
  get size(): number {
    return this.#size;
  }

  /** The value of a key; undefined where there is none. */
  get(key: DemandKey): Value | undefined {
    return this.#find(key)?.value;
  }

  /** Adds a key that is not there yet. */
  add(key: DemandKey, value: Value): void {
    let images = this.#regions.get(key.region);
    if (images === undefined) this.#regions.set(key.region, (images = new Map<string, Entry<Value>>()));
    images.set(key.image, { key, value, next: images.get(key.image) });
    this.#size += 1;
  }

  /** Removes a key; one that is not there changes nothing. */
  delete(key: DemandKey): void {
    const images = this.#regions.get(key.region);
    const kept: Entry<Value>[] = [];
    for (let entry = images?.get(key.image); entry !== undefined; entry = entry.next) {
      if (entry.key.repository === key.repository) this.#size -= 1;
      else kept.push(entry);
    }
    images?.delete(key.image);
    for (const entry of kept) {
      entry.next = images?.get(key.image);
      images?.set(key.image, entry);
    }
    if (images?.size === 0) this.#regions.delete(key.region);
  }

  /** In no order that means anything. */
  values(): Value[] {
    const values: Value[] = [];
    for (const images of this.#regions.values()) {
      for (const first of images.values()) for (let entry: Entry<Value> | undefined = first; entry !== undefined; entry = entry.next) values.push(entry.value);
    }
    return values;
  }

  #find({ region, repository, image }: DemandKey): Entry<Value> | undefined {
    let entry = this.#regions.get(region)?.get(image);
    while (entry !== undefined && entry.key.repository !== repository) entry = entry.next;
    return entry;
  }
}
