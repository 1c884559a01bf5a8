import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { SignJWT } from 'jose';

import { libtrustFingerprint } from '#registry';

import type { Certificate } from './certificates.js';

/** What a token says, as far as it is not what this issuer always says. */
export interface TokenWish {
  readonly access?: readonly unknown[];
  /** Claims in place of the usual ones; undefined leaves one out. */
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly header?: Readonly<Record<string, unknown>>;
  /** Who signs; the issuer's own key without. */
  readonly signer?: Certificate;
}

/** A right to pull from one repository. */
export const pullOf = (name: string, ...actions: readonly string[]): unknown => ({ type: 'repository', name, actions: actions.length === 0 ? ['pull'] : actions });

/** The service name of registries that this issuer speaks for. */
export const AUDIENCE = 'registry.test';
/** The issuer's own name. */
export const ISSUER = 'issuer.test';

/** A token service after distribution's docs/spec/auth/token.md: `alice` may do everything in team/app, `service` may pull everywhere. */
export class TokenIssuer implements AsyncDisposable {
  readonly #server: Server;
  readonly #signer: Certificate;

  private constructor(signer: Certificate) {
    this.#signer = signer;
    this.#server = createServer((request, response) => {
      const url = new URL(request.url ?? '/', this.realm);
      const [user = ''] = Buffer.from((request.headers.authorization ?? '').replace(/^Basic /, ''), 'base64').toString().split(':');
      const access = url.searchParams.getAll('scope').flatMap((scope) => {
        const [, name = '', actions = ''] = /^repository:(.+):([a-z,]+)$/.exec(scope) ?? [];
        const wanted = actions.split(',').filter((action) => (user === 'alice' && name.startsWith('team/')) || (user === 'service' && action === 'pull'));
        return wanted.length === 0 ? [] : [pullOf(name, ...wanted)];
      });
      this.token({ access }).then(
        (token) => response.setHeader('content-type', 'application/json').end(JSON.stringify({ token, expires_in: 300 })),
        (error: unknown) => response.writeHead(500).end(String(error)),
      );
    });
  }

  static async start(signer: Certificate): Promise<TokenIssuer> {
    const issuer = new TokenIssuer(signer);
    await new Promise<void>((resolve) => issuer.#server.listen(0, '127.0.0.1', resolve));
    return issuer;
  }

  /** Where tokens are given. */
  get realm(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/token`;
  }

  /** A signed token; a good one for nothing unless told otherwise. */
  token({ access = [], claims = {}, header = {}, signer = this.#signer }: TokenWish = {}): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    const usual = { iss: ISSUER, aud: AUDIENCE, sub: 'somebody', iat: now, nbf: now - 5, exp: now + 300, jti: String(Math.random()), access };
    const payload = Object.fromEntries(Object.entries({ ...usual, ...claims }).filter(([, value]) => value !== undefined));
    const kid = libtrustFingerprint(createPublicKey(signer.certificate));
    const protectedHeader = Object.fromEntries(Object.entries({ alg: 'ES256', typ: 'JWT', kid, ...header }).filter(([, value]) => value !== undefined));
    return new SignJWT(payload).setProtectedHeader(protectedHeader as { alg: string }).sign(createPrivateKey(signer.key));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }
}

/** Certificates as an `x5c` header has them. */
export function x5cOf(...certificates: readonly Certificate[]): string[] {
  return certificates.map(({ certificate }) => new X509Certificate(certificate).raw.toString('base64'));
}
