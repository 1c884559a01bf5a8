import { deepStrictEqual } from 'node:assert';

/** A law of a scenario that was broken. */
export class LawBroken extends Error {}

/** Demands that a law holds. @throws {LawBroken} naming it. */
export function law(what: string, holds: boolean): void {
  if (!holds) throw new LawBroken(`broken: ${what}`);
}

/** Demands that two things are the same. @throws {LawBroken} naming the law, with both. */
export function same(what: string, a: unknown, b: unknown): void {
  try {
    deepStrictEqual(a, b);
  } catch (cause) {
    throw new LawBroken(`broken: ${what}: ${JSON.stringify(a)} is not ${JSON.stringify(b)}`, { cause });
  }
}
