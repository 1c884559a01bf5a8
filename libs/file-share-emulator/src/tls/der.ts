/*
 * The Distinguished Encoding Rules of ASN.1 (X.690), as far as a certificate needs them:
 * every value is a tag, a length and its content.
 */

/** A value: the length in the shortest form there is. */
export function der(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  if (content.length < 0x80) return Buffer.concat([Buffer.from([tag, content.length]), content]);
  const hex = content.length.toString(16);
  const length = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, content]);
}

/** SEQUENCE */
export function sequence(...contents: readonly Buffer[]): Buffer {
  return der(0x30, ...contents);
}

/** INTEGER of a positive number given by its bytes, highest first. */
export function integer(bytes: Buffer): Buffer {
  return der(0x02, (bytes[0] ?? 0) < 0x80 ? bytes : Buffer.concat([Buffer.from([0]), bytes]));
}

/** OBJECT IDENTIFIER given as `1.2.840…`. */
export function objectIdentifier(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const bytes = [first * 40 + second, ...rest].flatMap((arc) => {
    const groups = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) groups.unshift(0x80 | (left & 0x7f));
    return groups;
  });
  return der(0x06, Buffer.from(bytes));
}

/** BIT STRING of whole bytes. */
export function bitString(bytes: Buffer): Buffer {
  return der(0x03, Buffer.from([0]), bytes);
}

/** OCTET STRING */
export function octetString(...contents: readonly Buffer[]): Buffer {
  return der(0x04, ...contents);
}

/** BOOLEAN true; false is a default everywhere and so never written. */
export function booleanTrue(): Buffer {
  return der(0x01, Buffer.from([0xff]));
}

/** UTF8String */
export function utf8(text: string): Buffer {
  return der(0x0c, Buffer.from(text));
}

/** GeneralizedTime, whole seconds: valid for any year. */
export function time(at: Date): Buffer {
  return der(0x18, Buffer.from(`${at.toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')}Z`));
}
