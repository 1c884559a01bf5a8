import type { DirectoryListHandlesResponse } from '@azure/storage-file-share';

import { OPEN_HANDLES_COUNTED_MAX } from '../share.js';
import { ShareError } from '../share-error.js';

type Page = IteratorResult<DirectoryListHandlesResponse>;

/**
 * Counts the handles on pages that `ask` fetches, up to {@link OPEN_HANDLES_COUNTED_MAX}.
 * @param ask fetches one page; undefined when what they would be on is not there.
 * @returns undefined when they may not be listed.
 */
export async function countHandles(pages: AsyncIterator<DirectoryListHandlesResponse>, ask: (next: () => Promise<Page>) => Promise<Page | undefined>): Promise<number | undefined> {
  let count = 0;
  try {
    while (count < OPEN_HANDLES_COUNTED_MAX) {
      const page = await ask(() => pages.next());
      if (page === undefined || page.done === true) break;
      count += page.value.handleList?.length ?? 0;
    }
    return Math.min(count, OPEN_HANDLES_COUNTED_MAX);
  } catch (error) {
    if (error instanceof ShareError && error.code === 'SHARE_DENIED') return undefined;
    throw error;
  }
}
