import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { AzureFilesError } from './azure-error.js';
import { PIECE_BYTES_MAX } from './piece-buffers.js';
import { decodeStructured, structuredLength, StructuredWriter } from './structured-body.js';
import { integer, objectIdentifier, octetString } from './tls/der.js';
import { escapeXml } from './xml.js';
import { readXml } from './xml-reader.js';

/** Passes errors of the service on and fails with all others. */
function refusalOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(AzureFilesError);
    return (error as AzureFilesError).code;
  }
}

describe('reading XML', () => {
  it('gives back any text that was escaped', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      expect(readXml(`\uFEFF<?xml version="1.0"?>\n<a x="1"><b>${escapeXml(text)}</b><c/></a>`)).toEqual({ name: 'a', text: '', children: [{ name: 'b', text, children: [] }, { name: 'c', text: '', children: [] }] });
    }));
  });

  it('refuses everything else with one code, whatever it is', () => {
    const parts = ['<a>', '</a>', '<b/>', '<!--', '-->', '<!DOCTYPE x>', '<?pi?>', '&amp;', '&#65;', '&#x110000;', '&#0;', '&x;', '<', '>', 'text', '<![CDATA[x]]>', ' x="<"'];
    fc.assert(fc.property(fc.array(fc.constantFrom(...parts), { maxLength: 20 }), (chosen) => {
      expect([undefined, 'InvalidXmlDocument']).toContain(refusalOf(() => readXml(chosen.join(''))));
    }), { numRuns: 1000 });
    expect(refusalOf(() => readXml('<a>'.repeat(100) + '</a>'.repeat(100)))).toBe('InvalidXmlDocument');
    expect(refusalOf(() => readXml(`<a>${'<b/>'.repeat(3000)}</a>`))).toBe('InvalidXmlDocument');
  });

  it('takes a time that is in proportion to the length of what is sent', () => {
    for (const text of [`<a ${' x'.repeat(30_000)}`, `<${'a'.repeat(60_000)}`, '<a '.repeat(20_000), '&'.repeat(60_000), '<!--'.repeat(15_000)]) {
      // The processor's time: others on the machine make it no longer.
      const before = process.cpuUsage();
      refusalOf(() => readXml(text));
      const { user, system } = process.cpuUsage(before);
      expect((user + system) / 1000).toBeLessThan(500);
    }
  });
});

describe('structured bodies', () => {
  function written(content: Buffer): Buffer {
    const writer = new StructuredWriter();
    const parts = [writer.head(content.length)];
    for (let at = 0; at < content.length; at += PIECE_BYTES_MAX) {
      const piece = content.subarray(at, at + PIECE_BYTES_MAX);
      const [before, behind] = writer.around(piece);
      parts.push(before, piece, behind);
    }
    return Buffer.concat([...parts, writer.tail()]);
  }

  it('come back as they were written, in one segment, several, or none', () => {
    for (const length of [0, 1, 5, 1000, PIECE_BYTES_MAX, PIECE_BYTES_MAX + 1]) {
      const content = Buffer.alloc(length, 'content');
      const message = written(content);
      expect(message.length).toBe(structuredLength(length));
      expect(decodeStructured(message).equals(content)).toBe(true);
    }
  });

  it('with any byte changed are refused', () => {
    const message = written(Buffer.from('some content'));
    for (let at = 0; at < message.length; at += 1) {
      const changed = Buffer.from(message);
      changed[at] = changed[at]! ^ 0x55;
      expect(['Crc64Mismatch', 'InvalidInput']).toContain(refusalOf(() => decodeStructured(changed)));
    }
  });

  it('that are anything at all are refused with a code of the service', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      const message = Buffer.from(bytes);
      if (message.length > 9) message.writeBigUInt64LE(BigInt(message.length), 1);
      if (message.length > 0) message[0] = 1;
      expect(['Crc64Mismatch', 'InvalidInput']).toContain(refusalOf(() => decodeStructured(message)));
    }), { numRuns: 1000 });
  });
});

describe('DER', () => {
  it('is what X.690 says', () => {
    expect(objectIdentifier('1.2.840.10045.4.3.2').toString('hex')).toBe('06082a8648ce3d040302');
    expect(integer(Buffer.from([0x80])).toString('hex')).toBe('02020080');
    expect(octetString(Buffer.alloc(300)).subarray(0, 4).toString('hex')).toBe('0482012c');
  });
});
