import { createHash } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import { digestOf } from '#oci';
import { LAYER_FILE_VERSION } from '#shares';

import { mergedViewDigest, viewDevices } from './merged-view-digest.js';

const [a, b, c] = [digestOf('a'), digestOf('b'), digestOf('c')] as const;

describe('the digest of a merged view', () => {
  it('is that of a text that names the version and every layer, lowest first', () => {
    const text = `translocator merged view v${LAYER_FILE_VERSION}\n${a}\n${b}\n${a}\n`;
    expect(mergedViewDigest([a, b, a])).toBe(`sha256:${createHash('sha256').update(text).digest('hex')}`);
  });

  it('depends on the order of the layers, and on how often each is named', () => {
    const digests = [[a, b, c], [a, c, b], [a, b, c, a], [a, b, c, c]].map((layers) => mergedViewDigest(layers));
    expect(new Set(digests).size).toBe(4);
  });

  it('does not exist where one mount of a layer does as well', () => {
    expect([mergedViewDigest([]), mergedViewDigest([a]), mergedViewDigest([a, a])]).toEqual([undefined, undefined, undefined]);
  });

  it('numbers each layer once, where it appears first', () => {
    expect(viewDevices([b, a, b, c, a])).toEqual([b, a, c]);
  });
});
