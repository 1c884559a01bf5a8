import { createHmac, timingSafeEqual } from 'node:crypto';

/** HMAC-SHA256 of `text` under an account key (base64), in base64. */
export function sign(text: string, key: string): string {
  return createHmac('sha256', Buffer.from(key, 'base64')).update(text, 'utf8').digest('base64');
}

/** True when `signature` is the one of any of `texts`; takes equally long for every wrong signature of the right length. */
export function isSignatureOf(signature: string, texts: readonly string[], key: string): boolean {
  const given = Buffer.from(signature);
  const expected = texts.map((text) => Buffer.from(sign(text, key)));
  return expected.filter((one) => one.length === given.length && timingSafeEqual(one, given)).length > 0;
}
