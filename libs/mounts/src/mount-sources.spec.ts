import { describe, expect, it } from 'vitest';

import { after } from '#clock';
import type { MountSource } from '#shares';

import { ShareMountSources } from './mount-sources.js';
import { digestNamed } from './testing/index.js';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const HOUR_MS = 3_600_000;
const LAYER = digestNamed('base');

function setUp(grantsPerShareMax = 10): { sources: ShareMountSources; granted: string[] } {
  const granted: string[] = [];
  const mountSources = (path: string, expiresAt: Date): MountSource[] => {
    granted.push(`${path} ${expiresAt.toISOString()}`);
    return [
      { type: 'smb', region: 'eastus', source: `//east/${path}`, options: ['ro'] },
      { type: 'https', region: 'eastus', source: `https://east/${path}?sig`, options: [], expiresAt },
    ];
  };
  return { sources: new ShareMountSources({ shares: new Map([['east', { region: 'eastus', mountSources }]]), grantMs: 2 * HOUR_MS, grantsPerShareMax }), granted };
}

describe('ShareMountSources', () => {
  it('hands out one grant during a quarter of its life at least and half of it at most, then a new one', () => {
    const { sources, granted } = setUp();
    const expiry = (now: Date): string | undefined => sources.of({ digest: LAYER, writerVersion: 2 }, 'east', now)[1]?.expiresAt;
    expect(expiry(NOW)).toBe(after(NOW, 2 * HOUR_MS).toISOString());
    expect(expiry(after(NOW, HOUR_MS / 2 - 1))).toBe(after(NOW, 2 * HOUR_MS).toISOString());
    expect(expiry(after(NOW, HOUR_MS))).toBe(after(NOW, 3 * HOUR_MS).toISOString());
    expect(granted).toHaveLength(2);
  });

  it('renews grants one by one that were made together', () => {
    const { sources, granted } = setUp(100);
    const ask = (now: Date): number => {
      const before = granted.length;
      for (let n = 0; n < 60; n += 1) sources.of({ digest: digestNamed(`layer ${n}`), writerVersion: 2 }, 'east', now);
      return granted.length - before;
    };
    expect(ask(NOW)).toBe(60);
    const perStep = [1.2, 1.4, 1.6, 1.8, 2].map((quarters) => ask(after(NOW, (quarters * HOUR_MS) / 2)));
    expect(Math.max(...perStep)).toBeLessThan(30);
    expect(perStep.reduce((sum, count) => sum + count)).toBe(60);
  });

  it('hands out the grant of the file that the layer has now, not of an earlier version', () => {
    const { sources } = setUp();
    const path = (writerVersion: number): string | undefined => sources.of({ digest: LAYER, writerVersion }, 'east', NOW)[0]?.source;
    expect([path(1), path(2)].map((source) => source?.endsWith('.v2.vhd'))).toEqual([false, true]);
  });

  it('remembers no more grants than it may', () => {
    const { sources, granted } = setUp(2);
    for (const name of ['a', 'b', 'c', 'c', 'a']) sources.of({ digest: digestNamed(name), writerVersion: 2 }, 'east', NOW);
    expect(granted).toHaveLength(4);
  });

  it('gives a share by NFS in its own networks only, and a folder of the host before everything else', () => {
    const mountSources = (path: string): MountSource[] => [{ type: 'nfs', region: 'eastus', source: `nfs:/${path}`, options: ['ro'] }, { type: 'https', region: 'eastus', source: `https://east/${path}?sig`, options: [] }];
    const bound = new ShareMountSources({ shares: new Map([['east', { region: 'eastus', mountSources }]]), grantMs: HOUR_MS, nfsBound: new Set(['east']) });
    const given = (shares: string[], folders: [string, string][] = []): string[] =>
      bound.of({ digest: LAYER, writerVersion: 2 }, 'east', NOW, { shares: new Set(shares), folders: new Map(folders) }).map(({ type, source }) => `${type} ${source.slice(0, 6)}`);
    expect(bound.of({ digest: LAYER, writerVersion: 2 }, 'east', NOW).map(({ type }) => type)).toEqual(['https']);
    expect(given(['west'])).toEqual(['https https:']);
    expect(given(['east'])).toEqual(['nfs nfs:/s', 'https https:']);
    expect(given(['east'], [['east', '/mnt/layers']])).toEqual(['file /mnt/l', 'nfs nfs:/s', 'https https:']);
  });

  it('has no sources for a share that it does not know', () => {
    expect(setUp().sources.of({ digest: LAYER, writerVersion: 2 }, 'west', NOW)).toEqual([]);
  });
});
