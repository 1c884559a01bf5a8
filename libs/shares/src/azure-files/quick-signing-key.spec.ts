import { StorageSharedKeyCredential } from '@azure/storage-file-share';
import fc from 'fast-check';
import { expect, it } from 'vitest';

import { QuickSigningKey } from './quick-signing-key.js';

it('signs whatever text as the key of the SDK does', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), fc.string({ unit: 'grapheme' }), (bytes, text) => {
      const key = Buffer.from(bytes).toString('base64');
      expect(new QuickSigningKey('acct', key).computeHMACSHA256(text)).toBe(new StorageSharedKeyCredential('acct', key).computeHMACSHA256(text));
    }),
  );
});
