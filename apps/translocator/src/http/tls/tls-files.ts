import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';

import type { Config } from '#config';
import { describeError } from '#errors';

/** Where certificate, key and the authorities of clients stand. */
export type TlsPaths = Pick<NonNullable<Config['server']['tls']>, 'certificate' | 'key' | 'clientCa'>;

/** Everything that a TLS server shows, read from files and found to fit together. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  readonly ca: string | undefined;
  /** When the server's own certificate ends. */
  readonly expiresAt: Date;
}

/** Files that a server cannot be run with; the message names the file and what is wrong with it. */
export class TlsFilesError extends Error {
  override readonly name = 'TlsFilesError';
}

/** The contents of the files, as they are now. Paths are followed anew each time, so that swapped links lead to the new files. @throws {TlsFilesError} for one that cannot be read. */
export async function readTlsFiles(paths: TlsPaths): Promise<{ readonly cert: string; readonly key: string; readonly ca: string | undefined }> {
  const read = async (path: string): Promise<string> => {
    try {
      return await readFile(path, 'utf8');
    } catch (cause) {
      throw new TlsFilesError(`${path} cannot be read: ${describeError(cause)}`, { cause });
    }
  };
  const [cert, key, ca] = await Promise.all([read(paths.certificate), read(paths.key), paths.clientCa === undefined ? undefined : read(paths.clientCa)]);
  return { cert, key, ca };
}

/**
 * Checks that contents can serve: PEM, the key that of the first certificate, the certificate begun and not ended, the authorities certificates.
 * @throws {TlsFilesError} naming the file that is wrong.
 */
export function checkTlsFiles(contents: { readonly cert: string; readonly key: string; readonly ca: string | undefined }, paths: TlsPaths, now: Date): TlsMaterial {
  const { cert, key, ca } = contents;
  const certificate = attempt(paths.certificate, () => new X509Certificate(cert));
  const privateKey = attempt(paths.key, () => createPrivateKey(key));
  if (!certificate.checkPrivateKey(privateKey)) throw new TlsFilesError(`${paths.key} is not the key of ${paths.certificate}`);
  if (now < certificate.validFromDate || now >= certificate.validToDate) {
    throw new TlsFilesError(`${paths.certificate} is valid from ${certificate.validFromDate.toISOString()} to ${certificate.validToDate.toISOString()}, and not now`);
  }
  if (ca !== undefined) attempt(paths.clientCa ?? '', () => new X509Certificate(ca));
  attempt(paths.certificate, () => createSecureContext({ cert, key, ...(ca === undefined ? {} : { ca }) }));
  return { ...contents, expiresAt: certificate.validToDate };
}

function attempt<Made>(path: string, make: () => Made): Made {
  try {
    return make();
  } catch (cause) {
    throw new TlsFilesError(`${path} is not what it should be: ${describeError(cause)}`, { cause });
  }
}
