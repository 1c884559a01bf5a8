import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { LookupBody } from '#contract';
import { digestOf } from '#oci';

import { readPlainLookup } from './plain-lookup.js';

const body = { repository: 'team/app', manifest: digestOf('image'), layers: [digestOf('a'), digestOf('b')], region: 'eastus' };
const latin = (text: string): string => Buffer.from(text).toString('latin1');

/** What the schema reads, in the words of a plain lookup; undefined where it refuses. */
function bySchema(text: string): unknown {
  const parsed = LookupBody.safeParse(JSON.parse(text));
  if (!parsed.success) return undefined;
  const { layers, ...others } = parsed.data;
  return { ...others, layersText: JSON.stringify(layers) };
}

/** Values that are right, nearly right and wrong. */
const digestText = fc.oneof({ weight: 5, arbitrary: fc.constantFrom(digestOf('a'), digestOf('b')) }, fc.constantFrom('sha256:ab', digestOf('a').toUpperCase(), 'md5:1', ''));
const transport = fc.constantFrom('smb', 'nfs', 'https', 'file', 'ftp');
const anything = fc.oneof(fc.string({ unit: 'binary', maxLength: 220 }), fc.integer(), fc.constantFrom(null, true, {}), fc.array(fc.string({ maxLength: 3 }), { maxLength: 3 }));
const mostly = <Value>(arbitrary: fc.Arbitrary<Value>): fc.Arbitrary<unknown> => fc.oneof({ weight: 20, arbitrary }, { weight: 1, arbitrary: anything });
const rarely = <Value>(arbitrary: fc.Arbitrary<Value>): fc.Arbitrary<unknown> => fc.option(arbitrary, { nil: undefined, freq: 1 });
const fields = fc.record({
  repository: mostly(fc.oneof({ weight: 9, arbitrary: fc.constantFrom('team/app', 'a') }, fc.constantFrom('Team', 'a'.repeat(256)))),
  manifest: mostly(digestText),
  layers: mostly(fc.array(digestText, { maxLength: 3 })),
  region: mostly(fc.oneof(fc.constantFrom('eastus', 'nowhere', 'x'.repeat(64), 'x'.repeat(65)), fc.string({ maxLength: 10 }))),
  transports: fc.option(mostly(fc.uniqueArray(transport, { maxLength: 4 })), { nil: undefined }),
  client: fc.option(mostly(fc.string({ maxLength: 205 })), { nil: undefined }),
  have: rarely(fc.array(digestText, { maxLength: 2 })),
  extra: rarely(fc.constant(1)),
});

describe('a plain lookup', () => {
  it('is read in any order of its fields', () => {
    const plain = { repository: 'team/app', manifest: body.manifest, layersText: JSON.stringify(body.layers), region: 'eastus' };
    expect(readPlainLookup(JSON.stringify(body))).toEqual(plain);
    const { layers, region, ...others } = body;
    expect(readPlainLookup(JSON.stringify({ client: 'node-7', layers, region, transports: ['https', 'smb'], ...others }))).toEqual({ ...plain, client: 'node-7', transports: ['https', 'smb'] });
  });

  it('is what the schema reads from the same bytes, whatever the bytes', () => {
    let plainCount = 0;
    fc.assert(
      fc.property(fields, fc.nat(), fc.constantFrom(undefined, undefined, undefined, 1), (values, turn, spaces) => {
        const entries = Object.entries(values);
        const text = JSON.stringify(Object.fromEntries([...entries.slice(turn % entries.length), ...entries.slice(0, turn % entries.length)]), undefined, spaces);
        const plain = readPlainLookup(latin(text));
        if (plain === undefined) return;
        const wanted = bySchema(text);
        // What is left to whoever knows the image: the repository's name and the list of layers.
        const known = LookupBody.shape.repository.safeParse(plain.repository).success && LookupBody.shape.layers.safeParse(JSON.parse(plain.layersText)).success;
        if (known) {
          plainCount += 1;
          expect(plain).toEqual(wanted);
        }
      }),
      { numRuns: 3000 },
    );
    expect(plainCount).toBeGreaterThan(100);
  });

  it('is nothing that was cut, doubled, continued or written otherwise', () => {
    const text = JSON.stringify(body);
    for (let end = 0; end < text.length; end += 1) expect(readPlainLookup(text.slice(0, end))).toBeUndefined();
    for (const other of [
      `${text} `, `${text}{}`, ` ${text}`, text.replace('"region":', '"region" :'), text.replace('{', '{"region":"westus",'), text.replace('eastus', '\\u0065astus'), text.replace('eastus', 'éastus'),
      text.replace('{', '{,'), text.replace('}', ',}'), text.replace('{', '{"have":[],'), text.replace('{', '{"transports":["smb","smb"],'), text.replace('{', '{"__proto__":"x",'), text.replace('eastus', 'e\tastus'),
    ]) {
      expect(readPlainLookup(latin(other))).toBeUndefined();
    }
  });

  it('has a name of its own for each body: one changed byte never reads as the same question', () => {
    const text = JSON.stringify({ ...body, client: 'n' });
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.integer({ min: 0, max: 255 }), (at, code) => {
        const changed = text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1);
        const plain = readPlainLookup(changed);
        if (changed !== text && plain !== undefined) expect(plain).not.toEqual(readPlainLookup(text));
      }),
      { numRuns: 2000 },
    );
  });
});
