import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';

import { DAY_MS } from '#quantities';

import { bitString, booleanTrue, der, integer, objectIdentifier, octetString, sequence, time, utf8 } from './der.js';

/** A certificate and its private key, in PEM. */
export interface KeyAndCertificate {
  readonly certificate: string;
  readonly key: string;
}

const LIFE_DAYS = 3650;
/** Clocks of clients may be behind. */
const BACKDATED_DAYS = 1;
const OID = {
  commonName: '2.5.4.3',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  extendedKeyUsage: '2.5.29.37',
  serverAuthentication: '1.3.6.1.5.5.7.3.1',
};
/** Context-specific tags of a certificate (RFC 5280, 4.1) and of its alternative names (4.2.1.6). */
const TAG = { version: 0xa0, extensions: 0xa3, dnsName: 0x82, ipAddress: 0x87 };

/**
 * Makes a certificate for `names` (host names, also with a leading `*.`, and IP addresses) that is its own authority: a client that is told to trust it needs nothing else.
 * Node can sign but has no way to make certificates, and one is a page of ASN.1: RFC 5280 with an ECDSA key on P-256.
 */
export function makeCertificate(names: readonly string[], now: Date): KeyAndCertificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const algorithm = sequence(objectIdentifier(OID.ecdsaWithSha256));
  const subject = sequence(der(0x31, sequence(objectIdentifier(OID.commonName), utf8('file-share-emulator'))));
  const validity = sequence(time(new Date(now.getTime() - BACKDATED_DAYS * DAY_MS)), time(new Date(now.getTime() + LIFE_DAYS * DAY_MS)));
  const serial = randomBytes(16);
  // Positive, and without a leading zero.
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  const content = sequence(
    der(TAG.version, integer(Buffer.from([2]))),
    integer(serial),
    algorithm,
    subject,
    validity,
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(TAG.extensions, sequence(
      sequence(objectIdentifier(OID.subjectAltName), octetString(sequence(...names.map(alternativeName)))),
      sequence(objectIdentifier(OID.basicConstraints), booleanTrue(), octetString(sequence(booleanTrue()))),
      sequence(objectIdentifier(OID.extendedKeyUsage), octetString(sequence(objectIdentifier(OID.serverAuthentication)))),
    )),
  );
  const certificate = sequence(content, algorithm, bitString(sign('sha256', content, privateKey)));
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? [];
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

function alternativeName(name: string): Buffer {
  const family = isIP(name);
  if (family === 0) return der(TAG.dnsName, Buffer.from(name, 'ascii'));
  return der(TAG.ipAddress, family === 4 ? Buffer.from(name.split('.').map(Number)) : ipv6Bytes(name));
}

function ipv6Bytes(address: string): Buffer {
  const [before = '', after] = address.split('::');
  const groups = (text: string | undefined): number[] => (text === undefined || text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)));
  const head = groups(before);
  const tail = groups(after);
  const all = [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail];
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}
