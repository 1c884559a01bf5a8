import { Readable } from 'node:stream';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { digestOf } from './digest.js';
import { verifiedStream } from './verified-stream.js';

async function* chunks(...parts: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts);
}

describe('a verified stream', () => {
  it('passes the bytes on unchanged, however they are cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array()), async (parts) => {
        const whole = Buffer.concat(parts);
        const out = await collect(verifiedStream(chunks(...parts), { digest: digestOf(whole), sizeBytes: whole.length }));
        expect(out.equals(whole)).toBe(true);
      }),
    );
  });

  it('fails when any one byte is another, is missing or is too many', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1 }), fc.nat(), fc.integer({ min: 1, max: 255 }), async (bytes, place, change) => {
        const expected = { digest: digestOf(bytes), sizeBytes: bytes.length };
        const other = Uint8Array.from(bytes);
        other[place % bytes.length] = (other[place % bytes.length] ?? 0) ^ change;
        await expect(collect(verifiedStream(chunks(other), expected))).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
        await expect(collect(verifiedStream(chunks(bytes.subarray(1)), expected))).rejects.toMatchObject({ code: 'SIZE_MISMATCH' });
        await expect(collect(verifiedStream(chunks(bytes, bytes), expected))).rejects.toMatchObject({ code: 'SIZE_MISMATCH' });
      }),
    );
  });

  it('lets no byte beyond the announced size through', async () => {
    const out: number[] = [];
    const reading = (async () => {
      for await (const part of verifiedStream(chunks(Buffer.from('abc'), Buffer.from('d')), { digest: digestOf('abc'), sizeBytes: 3 })) out.push(part.length);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'SIZE_MISMATCH' });
    expect(out).toEqual([3]);
  });

  it('closes its source when the reader leaves early', async () => {
    const source = Readable.from([Buffer.from('a'), Buffer.from('b')]);
    for await (const part of verifiedStream(source, { digest: digestOf('ab'), sizeBytes: 2 })) {
      expect(part).toBeDefined();
      break;
    }
    expect(source.destroyed).toBe(true);
  });

  it('passes a failure of its source on', async () => {
    const broken = (async function* broken(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('a');
      throw new Error('cut');
    })();
    await expect(collect(verifiedStream(broken, { digest: digestOf('ab'), sizeBytes: 2 }))).rejects.toThrow('cut');
  });
});
