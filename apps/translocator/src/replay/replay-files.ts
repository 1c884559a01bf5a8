import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';

import { openCatalogue, parseReplayEvent, parseReplayImage, parseReplayRegions, type ReplayCatalogue, type ReplayEvent, type ReplayImage, type ReplayRegions } from '#placement';

/** The lines of a file that is not blank, one by one, with where each stands; a name that ends in `.gz` is unpacked. */
async function* linesOf(path: string, what: string): AsyncGenerator<{ readonly line: string; readonly where: string }, void> {
  const file = createReadStream(path);
  const text = path.endsWith('.gz') ? file.pipe(createGunzip()) : file;
  file.on('error', (error) => text.destroy(error));
  let number = 0;
  for await (const line of createInterface({ input: text, crlfDelay: Number.POSITIVE_INFINITY })) {
    number += 1;
    if (line.trim() !== '') yield { line, where: `${what} line ${number}` };
  }
}

/** Reads a catalogue. @throws {PlacementError} `REPLAY_INVALID`; whatever reading the file throws. */
export async function readCatalogue(path: string): Promise<ReplayCatalogue> {
  const images: ReplayImage[] = [];
  for await (const { line, where } of linesOf(path, 'catalogue')) images.push(parseReplayImage(line, where));
  return openCatalogue(images);
}

/** Reads a history event by event: it need not fit into memory. @throws as {@link readCatalogue}. */
export async function* readEvents(path: string): AsyncGenerator<ReplayEvent, void> {
  for await (const { line, where } of linesOf(path, 'events')) yield parseReplayEvent(line, where);
}

/** Reads the regions. @throws as {@link readCatalogue}. */
export async function readRegions(path: string): Promise<ReplayRegions> {
  return parseReplayRegions(await readFile(path, 'utf8'), 'regions');
}
