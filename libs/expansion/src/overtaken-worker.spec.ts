import { createHash, randomBytes } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import { expandBytes, layerOf, tarOf } from '#expansion/testing';
import { LAYER_FILE_VERSION, layerFilePath } from '#shares';
import { MemoryShare } from '#shares/testing';

describe('a worker that lost its claim and does not know it', () => {
  const layer = layerOf(tarOf({ name: 'a', contents: randomBytes(9_000_000) }, { name: 'zeros', contents: Buffer.alloc(9_000_000) }));
  const final = layerFilePath(layer.layer.digest, LAYER_FILE_VERSION);
  const steps = ['list', 'createFile', 'resizeFile', 'writeRange', 'dataRanges', 'readRange', 'setMetadata', 'rename', 'stat'] as const;
  const wakes = ['list', 'createFile', 'writeRange', 'readRange', 'rename', 'stat'] as const;

  it.each(steps.flatMap((stands) => wakes.map((wakesAt) => [stands, wakesAt] as const)))(
    'stands still at %s, goes on at the %s of its successor, and harms neither file nor record',
    async (stands, wakesAt) => {
      const share = new MemoryShare({ name: 'home' });
      const stood = Promise.withResolvers<void>();
      const woken = Promise.withResolvers<void>();
      let holder = 'stale';
      let stale: Promise<unknown> | undefined;
      const attempt = async (claimId: string): Promise<unknown> => {
        const { expanded } = await expandBytes(layer, { share, claimId, isHeld: () => Promise.resolve(holder === claimId) });
        return expanded;
      };
      share.before = async ({ operation, path }) => {
        if (holder === 'stale' && operation === stands) {
          stood.resolve();
          await woken.promise;
        } else if (holder === 'successor' && operation === wakesAt && !path.includes('stale')) {
          woken.resolve();
          await stale;
        }
      };
      stale = attempt('stale').catch((error: unknown) => error);
      await stood.promise;
      holder = 'successor';
      const expanded = await attempt('successor');
      expect(expanded).toEqual((await expandBytes(layer)).expanded);
      // Overtaken between its last look at the claim and the rename, it has put the same bytes there first.
      const mayPublish = stands === 'stat' || (stands === 'rename' && wakesAt === 'list');
      if (mayPublish) expect(await stale).toEqual(expanded);
      else expect(await stale).toBeInstanceOf(Error);
      expect(share.paths).toEqual([final]);
      expect(`sha256:${createHash('sha256').update(await share.readRange(final, { offset: 0, length: (await share.stat(final))!.sizeBytes })).digest('hex')}`)
        .toBe((expanded as { vhd: { digest: string } }).vhd.digest);
    },
  );
});
