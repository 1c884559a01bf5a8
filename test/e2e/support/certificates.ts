import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { run } from './programs.js';

/** A key pair with its certificate, as files and as texts. */
export interface Certificate {
  readonly keyFile: string;
  readonly certificateFile: string;
  readonly key: string;
  readonly certificate: string;
}

/** What a certificate is to be. */
export interface CertificateWish {
  /** A distinguished name: `/CN=registry`. */
  readonly subject: string;
  /** Who signs it; without, it signs itself. */
  readonly issuer?: Certificate;
  readonly authority?: boolean;
  /** `DNS:localhost,IP:127.0.0.1,URI:spiffe://…` */
  readonly names?: string;
  readonly days?: number;
}

/** Makes certificates with `openssl`, all in one folder. */
export class Certificates {
  #count = 0;

  constructor(readonly folder: string) {}

  /** A new key (P-256) and its certificate. */
  async make({ subject, issuer, authority = false, names, days = 2 }: CertificateWish): Promise<Certificate> {
    this.#count += 1;
    const [keyFile, certificateFile, extensionFile] = ['key.pem', 'cert.pem', 'ext.cnf'].map((name) => join(this.folder, `${this.#count}-${name}`)) as [string, string, string];
    const extensions = [`basicConstraints=critical,CA:${authority ? 'TRUE' : 'FALSE'}`, ...(names === undefined ? [] : [`subjectAltName=${names}`])];
    await writeFile(extensionFile, extensions.join('\n'));
    const request = `${certificateFile}.csr`;
    await run('openssl', ['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile, '-subj', subject, '-out', request]);
    const signer = issuer === undefined ? ['-signkey', keyFile] : ['-CA', issuer.certificateFile, '-CAkey', issuer.keyFile, '-CAcreateserial'];
    await run('openssl', ['x509', '-req', '-in', request, ...signer, '-days', String(days), '-extfile', extensionFile, '-out', certificateFile]);
    const [key, certificate] = await Promise.all([readFile(keyFile, 'utf8'), readFile(certificateFile, 'utf8')]);
    return { keyFile, certificateFile, key, certificate };
  }
}
