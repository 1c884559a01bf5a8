import { describe, expect, it } from 'vitest';

import { digestOf } from '#oci';
import { LAYER_FILE_VERSION } from '#shares';

import { keepOrNot, type PassingAnswer, type PassingLayerFacts } from './keep-or-not.js';

const ANSWER: PassingAnswer = { status: 200, isRange: false, encoding: undefined, lengthBytes: 100, namedRegion: undefined };
const EXPANDED = { state: 'expanded', diffId: digestOf('tar'), writerVersion: LAYER_FILE_VERSION, vhd: { digest: digestOf('vhd'), sizeBytes: 1000 } } as const;
const LAYER: PassingLayerFacts = { isEnabled: true, expansion: EXPANDED, atHome: 'ready', here: undefined };
const TERMS = { region: 'eastus', unorderedBytesMax: 1000 };

describe('what passes', () => {
  it('is kept when all of an expanded layer comes that the region has not, ordered or not', () => {
    expect(keepOrNot(ANSWER, LAYER, TERMS)).toBeUndefined();
    expect(keepOrNot({ ...ANSWER, encoding: 'identity', namedRegion: 'eastus' }, LAYER, TERMS)).toBeUndefined();
    expect(keepOrNot(ANSWER, { ...LAYER, here: 'wanted' }, { ...TERMS, unorderedBytesMax: 0 })).toBeUndefined();
  });

  it.each<[string, Partial<PassingAnswer>]>([
    ['NOT_WHOLE', { isRange: true }],
    ['NOT_WHOLE', { status: 206 }],
    ['NOT_WHOLE', { encoding: 'gzip' }],
    ['NOT_WHOLE', { status: 304 }],
    ['REDIRECTED', { status: 307 }],
    ['LENGTH_UNKNOWN', { lengthBytes: undefined }],
    ['LENGTH_UNKNOWN', { lengthBytes: 0 }],
    ['OTHER_REGION', { namedRegion: 'southeastasia' }],
  ])('is not kept, %s, for an answer with %o', (reason, change) => {
    expect(keepOrNot({ ...ANSWER, ...change }, LAYER, TERMS)).toBe(reason);
  });

  it.each<[string, Partial<PassingLayerFacts>]>([
    ['REPOSITORY_NOT_ENABLED', { isEnabled: false }],
    ['NOT_EXPANDED', { expansion: undefined }],
    ['NOT_EXPANDED', { expansion: { state: 'wanted', since: new Date(0) } }],
    ['NOT_EXPANDED', { expansion: { state: 'refused', refusal: 'TAR_INVALID' } }],
    ['NOT_EXPANDED', { expansion: { ...EXPANDED, diffId: undefined } }],
    ['NOT_EXPANDED', { atHome: 'draining' }],
    ['NOT_EXPANDED', { atHome: undefined }],
    ['OLD_VERSION', { expansion: { ...EXPANDED, writerVersion: LAYER_FILE_VERSION - 1 } }],
    ['THERE', { here: 'ready' }],
    ['COPYING', { here: 'copying' }],
    ['DRAINING', { here: 'draining' }],
  ])('is not kept, %s, for a layer with %o', (reason, change) => {
    expect(keepOrNot(ANSWER, { ...LAYER, ...change }, TERMS)).toBe(reason);
  });

  it('is not kept unordered when its file alone is larger than all that may be', () => {
    expect(keepOrNot(ANSWER, LAYER, { ...TERMS, unorderedBytesMax: 999 })).toBe('UNORDERED_FULL');
  });
});
