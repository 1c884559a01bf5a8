/**
 * Expands one layer from a local file onto a local folder, twice, and prints what it cost as one line of JSON (see {@link ExpandedFile}).
 * A process of its own, so that its memory is nobody else's: `node expand-file.js <blob> <its digest> <folder>`.
 */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';

import { expandLayer, type ExpandedLayer } from '#expansion';
import { parseDigest } from '#oci';
import { MiB } from '#quantities';

import { FolderShare } from './folder-share.js';

/** What one expansion came to. */
export interface ExpandedFile {
  /** From the first byte read to the file under its final name, in a process that has done nothing before. */
  readonly firstSeconds: number;
  /** The same once more: what it takes in a service, whose code is compiled and whose threads are there. */
  readonly seconds: number;
  /** The most memory that the process had, of whatever kind. */
  readonly peakRssBytes: number;
  readonly expanded: ExpandedLayer;
}

const [blob = '', digest = '', folder = ''] = process.argv.slice(2);
const { size: sizeBytes } = await stat(blob);

async function expandOnce(name: string): Promise<{ readonly seconds: number; readonly expanded: ExpandedLayer }> {
  const share = new FolderShare(join(folder, name));
  const startedAt = performance.now();
  const expanded = await expandLayer({
    layer: { digest: parseDigest(digest), sizeBytes },
    blob: createReadStream(blob, { highWaterMark: MiB }),
    share,
    claimId: 'bench',
    isHeld: () => Promise.resolve(true),
    signal: new AbortController().signal,
  });
  const seconds = (performance.now() - startedAt) / 1000;
  await share.empty();
  return { seconds, expanded };
}

const first = await expandOnce('first');
const { seconds, expanded } = await expandOnce('second');
const result: ExpandedFile = { firstSeconds: first.seconds, seconds, peakRssBytes: process.resourceUsage().maxRSS * 1024, expanded };
process.stdout.write(`${JSON.stringify(result)}\n`);
