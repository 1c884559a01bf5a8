import { after, SystemClock } from '#clock';
import { HOUR_MS, MINUTE_MS } from '#quantities';
import { LAYER_FILE_VERSION, layerFilePath } from '#shares';

import { BenchError } from '../bench.js';
import type { HomeLayer } from './copied-layers.js';
import type { ReachedShare } from './emulated-regions.js';

/** How often the copy is asked how far it is. */
const ASKED_EVERY_MS = 50;
const COPY_MAX_MS = 5 * MINUTE_MS;

/**
 * Copies a layer's file as the SDK offers it: the share is told to copy the whole file, and asked until it has.
 * @returns the seconds until it had. @throws {BenchError} when it fails.
 */
export async function copyByShare(home: ReachedShare, target: ReachedShare, { layer }: HomeLayer): Promise<number> {
  const clock = new SystemClock();
  const path = layerFilePath(layer, LAYER_FILE_VERSION);
  const source = await home.share.grantCopySource(path, after(clock.now(), HOUR_MS));
  const folder = path.split('/').slice(0, -1);
  const client = target.account.client('layers');
  for (const depth of folder.keys()) await client.getDirectoryClient(folder.slice(0, depth + 1).join('/')).createIfNotExists();
  const file = client.rootDirectoryClient.getFileClient(path);
  const startedAt = performance.now();
  await file.startCopyFromURL(source.url);
  for (;;) {
    const { copyStatus, copyStatusDescription } = await file.getProperties();
    if (copyStatus === 'success') break;
    if (copyStatus !== 'pending') throw new BenchError(`startCopyFromURL ended ${copyStatus ?? 'without a word'}: ${copyStatusDescription ?? ''}`);
    if (performance.now() - startedAt > COPY_MAX_MS) throw new BenchError('startCopyFromURL did not end');
    await clock.sleep(ASKED_EVERY_MS);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  await target.share.remove(path);
  return seconds;
}
