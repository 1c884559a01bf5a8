import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { SignJWT } from 'jose';

/** The audience of every token that is signed here. */
export const AUDIENCE = 'registry.test';
/** As short as those of distribution: a clock that is ten minutes off misreads every one. */
const TOKEN_LIFE_SECONDS = 300;

interface SigningKey {
  readonly kid: string;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** A token service as far as lookups know it: it publishes its keys, signs by the newest, and changes them. */
export class TokenSigner implements AsyncDisposable {
  readonly #server: Server;
  #keys: SigningKey[] = [newKey()];

  private constructor() {
    this.#server = createServer((_request, response) => {
      const keys = this.#keys.map(({ kid, publicKey }) => ({ ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'ES256' }));
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys }));
    });
  }

  static async start(): Promise<TokenSigner> {
    const signer = new TokenSigner();
    await once(signer.#server.listen(0, '127.0.0.1'), 'listening');
    return signer;
  }

  /** Where the keys are. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** From now on tokens are signed by another key; those by the keys before stay good. */
  changeKey(): void {
    this.#keys = [newKey(), ...this.#keys];
  }

  /** A token for pulling from a repository, as it is given at this instant. */
  token(repository: string): Promise<string> {
    const [{ kid, privateKey }] = this.#keys as [SigningKey];
    const now = Math.floor(Date.now() / 1000);
    const claims = { aud: AUDIENCE, iat: now, nbf: now, exp: now + TOKEN_LIFE_SECONDS, jti: randomUUID(), access: [{ type: 'repository', name: repository, actions: ['pull'] }] };
    return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid }).sign(privateKey);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }
}

function newKey(): SigningKey {
  return { kid: randomUUID(), ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) };
}
