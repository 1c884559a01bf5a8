import type { TarEntry } from '../tar-entry.js';
import { TarReader } from '../tar-reader.js';

export type { TarEntryKind } from '../tar-entry.js';

/** The entries of a tar, without their contents. @throws {ExpansionError} as the expansion of the tar does. */
export function readTarEntries(tar: Buffer): TarEntry[] {
  const entries: TarEntry[] = [];
  const reader = new TarReader({ entry: (entry) => entries.push(entry), contents: () => {}, hole: () => {}, endContents: () => {} });
  reader.feed(tar);
  reader.end();
  return entries;
}
