import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';

import { StorageSharedKeyCredential } from '@azure/storage-file-share';

/**
 * An account's key that signs what the SDK's own signs, in a tenth of the time: its bytes are made a key once, not with every signature. A lookup signs a grant for each layer that is asked
 * for the first time in a while.
 */
export class QuickSigningKey extends StorageSharedKeyCredential {
  readonly #key: KeyObject;

  /** @param accountKey in Base64. */
  constructor(accountName: string, accountKey: string) {
    super(accountName, accountKey);
    this.#key = createSecretKey(Buffer.from(accountKey, 'base64'));
  }

  override computeHMACSHA256(stringToSign: string): string {
    return createHmac('sha256', this.#key).update(stringToSign, 'utf8').digest('base64');
  }
}
