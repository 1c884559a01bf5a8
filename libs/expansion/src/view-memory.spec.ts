import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { expect, it } from 'vitest';

import { expandStack, expandViewOf, tarOf } from '#expansion/testing';
import { type ByteRange, PIECE_BYTES } from '#shares';
import { MemoryShare } from '#shares/testing';

import { MAX_PIECES_HELD } from './verified-pieces.js';

const LAYERS = 14;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** A share that knows which of the pieces that it gave are still held by somebody. */
class CountingShare extends MemoryShare {
  readonly #given: WeakRef<ArrayBufferLike>[] = [];

  override async readRange(path: string, range: ByteRange, signal?: AbortSignal): Promise<Buffer> {
    const bytes = Buffer.from(await super.readRange(path, range, signal));
    if (bytes.length > PIECE_BYTES / 8) this.#given.push(new WeakRef(bytes.buffer));
    return bytes;
  }

  get givenCount(): number {
    return this.#given.length;
  }

  /** Of a WeakRef, what was made or looked at in this turn of the event loop is never collected. */
  async heldCount(): Promise<number> {
    await setImmediate();
    collectGarbage();
    return this.#given.filter((piece) => piece.deref() !== undefined).length;
  }
}

it('the making of a view holds pieces of one layer’s file at a time, however many layers there are', async () => {
  const share = new CountingShare({ name: 'home' });
  const names = (layer: number): Buffer => tarOf(
    ...Array.from({ length: 9000 }, (_, index) => ({ name: `d${index % 90}/${layer}-${index}`, ...(index % 1000 === 0 ? { pax: { 'SCHILY.xattr.user.of': `${layer} ${index}` } } : {}) })),
    { name: 'link', type: '2', linkName: `to-${layer}` },
  );
  const stack = await expandStack(Array.from({ length: LAYERS }, (_, layer) => names(layer)), share);
  const before = share.givenCount;
  const held: number[] = [];
  share.before = async ({ operation }) => {
    if (operation === 'readRange' || operation === 'writeRange') held.push(await share.heldCount());
  };
  await expandViewOf(stack);
  expect(share.givenCount - before).toBeGreaterThanOrEqual(LAYERS);
  expect(Math.max(...held)).toBeGreaterThanOrEqual(1);
  expect(Math.max(...held)).toBeLessThanOrEqual(MAX_PIECES_HELD);
});
