import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, it } from 'vitest';

import { buildDemoImages } from './demo-images.js';

it('builds two images of at least 100 MB and five layers on one base, and a later tag that differs in its top layer', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'demo-images-'));
  try {
    const { api, batch, apiNext } = await buildDemoImages(folder);
    for (const image of [api, batch, apiNext]) {
      expect(image.layers.length).toBeGreaterThanOrEqual(5);
      expect(image.layers.reduce((sum, layer) => sum + layer.tarBytes, 0)).toBeGreaterThan(100e6);
    }
    const digests = (layers: typeof api.layers): string[] => layers.map((layer) => layer.digest);
    expect(digests(batch.layers.slice(0, 3))).toEqual(digests(api.layers.slice(0, 3)));
    expect(digests(apiNext.layers.slice(0, 4))).toEqual(digests(api.layers.slice(0, 4)));
    expect(apiNext.layers[4]?.digest).not.toBe(api.layers[4]?.digest);
    expect(new Set(api.layers.map((layer) => layer.mediaType)).size).toBe(3);
  } finally {
    await rm(folder, { recursive: true });
  }
});
