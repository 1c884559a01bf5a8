import type { X509Certificate } from 'node:crypto';

/** One entry of Node's text of subject alternative names: a kind, and a value that stands in quotes, as JSON, where it could be misread. */
const ENTRY = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:$|, (?=[^,]))/y;

/**
 * The names of a certificate, as the configuration writes them: `DNS:host`, `URI:spiffe://…`, `IP:…`, `email:…`, and `CN=…` when there is exactly one common name.
 * A list of names that cannot be read to its end gives none of them: part of a value could pass for a name.
 */
export function namesOf(certificate: Pick<X509Certificate, 'subjectAltName' | 'toLegacyObject'>): readonly string[] {
  const { CN } = certificate.toLegacyObject().subject as { CN?: unknown };
  return [...alternativeNames(certificate.subjectAltName ?? ''), ...(typeof CN === 'string' ? [`CN=${CN}`] : [])];
}

function alternativeNames(text: string): string[] {
  const names: string[] = [];
  for (let place = 0; place < text.length; ) {
    ENTRY.lastIndex = place;
    const [whole, kind, value = ''] = ENTRY.exec(text) ?? [];
    if (whole === undefined || whole === '') return [];
    place += whole.length;
    // What needs quotes is no name that anybody configures.
    if (!value.startsWith('"')) names.push(`${kind === 'IP Address' ? 'IP' : kind}:${value}`);
  }
  return names;
}
