/** Between two looks at a condition, in milliseconds. */
const LOOK_EVERY_MS = 100;
/** How long a condition may take when nothing else is said, in milliseconds: a bound against hanging, generous for a busy machine. */
const WITHIN_MS = 90_000;

/**
 * Looks at `condition` again and again until it answers anything but undefined, false or null, and returns that. A look that throws has not
 * held yet; what it threw last is told when time is over.
 * @throws {Error} naming `what` after `withinMs`.
 */
export async function eventually<Value>(
  what: string,
  condition: () => Promise<Value | undefined | false | null> | Value | undefined | false | null,
  { withinMs = WITHIN_MS }: { readonly withinMs?: number } = {},
): Promise<Value> {
  const endsAt = performance.now() + withinMs;
  for (;;) {
    let cause: unknown;
    try {
      const value = await condition();
      if (value !== undefined && value !== false && value !== null) return value;
    } catch (error) {
      cause = error;
    }
    if (performance.now() >= endsAt) throw new Error(`within ${withinMs} ms it did not come true: ${what}`, { cause });
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}
