import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { DAY_MS } from '#quantities';

import { unlessAbsent, writeFileAtomically } from '../storage/atomic-file.js';
import { type KeyAndCertificate, makeCertificate } from './self-made-certificate.js';

/** A certificate with less than this left is made anew. */
const LEFT_DAYS_MIN = 30;

/**
 * The certificate kept in `folder` (`certificate.pem` and `key.pem`), made now if there is none, it does not cover `names`, or it is about to run out.
 * It stays the same over restarts, so that clients need to be told once to trust it.
 */
export async function keptCertificate(folder: string, names: readonly string[]): Promise<KeyAndCertificate> {
  const now = new Date();
  const [certificate, key] = await Promise.all(['certificate.pem', 'key.pem'].map((name) => unlessAbsent(readFile(join(folder, name), 'utf8'))));
  if (certificate !== undefined && key !== undefined && certificateProblem(certificate, key).length === 0 && covers(certificate, names, now)) return { certificate, key };
  const made = makeCertificate(names, now);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFileAtomically(join(folder, 'key.pem'), made.key);
  await writeFileAtomically(join(folder, 'certificate.pem'), made.certificate);
  return made;
}

/** Why a certificate and a key cannot be used together; empty when they can. */
export function certificateProblem(certificate: string, key: string): string[] {
  try {
    const isPair = new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
    return isPair ? [] : ['https.certificate: does not belong to https.key'];
  } catch (error) {
    return [`https.certificate, https.key: must be PEM (${error instanceof Error ? error.message : String(error)})`];
  }
}

function covers(certificate: string, names: readonly string[], now: Date): boolean {
  const { validTo, subjectAltName = '' } = new X509Certificate(certificate);
  // IPv6 addresses are written out there: they are among the names whenever the others are.
  const listed = new Set(subjectAltName.split(', ').map((name) => name.replace(/^(?:DNS|IP Address):/, '')));
  return Date.parse(validTo) - now.getTime() > LEFT_DAYS_MIN * DAY_MS && names.every((name) => name.includes(':') || listed.has(name));
}
