import { z } from 'zod';

/** Entries on one page at most. */
export const PAGE_LIMIT_MAX = 500;
/** Entries on a page when the caller does not say. */
export const PAGE_LIMIT_DEFAULT = 100;
/** Characters of a cursor. */
export const CURSOR_LENGTH_MAX = 1024;

const Cursor = z.string().min(1).max(CURSOR_LENGTH_MAX).regex(/^[A-Za-z0-9_-]+$/, { error: 'must be a nextCursor from the page before' });

/** The query parameters that every list takes; spread into a list's own query. */
export const pageParameters = {
  cursor: Cursor.optional().meta({ description: 'The `nextCursor` of the page before; without it, the first page.' }),
  limit: z.coerce.number().int().min(1).max(PAGE_LIMIT_MAX).default(PAGE_LIMIT_DEFAULT).meta({ description: 'Entries at most.' }),
};

/** The query of a list without filters of its own. */
export const PageQuery = z.strictObject(pageParameters);

/** See {@link PageQuery}. */
export type PageQuery = z.infer<typeof PageQuery>;

/** A page of a list of `entry`: `items`, and `nextCursor` while there may be more. */
export function pageOf<Entry extends z.ZodType>(entry: Entry): z.ZodObject<{ items: z.ZodArray<Entry>; nextCursor: z.ZodOptional<z.ZodString> }> {
  return z.object({
    items: z.array(entry).max(PAGE_LIMIT_MAX),
    nextCursor: Cursor.optional().meta({ description: 'Where the next page begins; absent on the last one.' }),
  });
}

/** The opaque text of a cursor: whatever JSON value marks where a page ended. */
export function writeCursor(mark: unknown): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(JSON.stringify(mark)))).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/**
 * Reads a cursor's mark.
 * @returns undefined when the text is no cursor, or its mark does not follow `mark`: cursors come from outside.
 */
export function readCursor<Mark extends z.ZodType>(text: string, mark: Mark): z.infer<Mark> | undefined {
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (character) => character.charCodeAt(0));
    const parsed = mark.safeParse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
    return parsed.success ? parsed.data : undefined;
  } catch {
    // Not base64, not UTF-8 or not JSON: somebody made it up.
    return undefined;
  }
}
