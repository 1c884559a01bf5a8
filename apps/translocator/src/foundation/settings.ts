import { randomBytes } from 'node:crypto';

import { type Config, isEmbeddedOnLoopback, type Secrets } from '#config';

/** Configuration and secrets of this process, as one injectable. */
export class Settings {
  readonly config: Config;
  readonly secrets: Secrets;
  /** Tokens that were made up because none was configured on loopback with the embedded default; printed once by whoever starts the process. */
  readonly madeUpTokens: Readonly<Partial<Record<'admin' | 'service', string>>>;

  constructor(config: Config, secrets: Secrets) {
    this.config = config;
    const makeUp = isEmbeddedOnLoopback(config);
    this.madeUpTokens = {
      ...(makeUp && secrets.adminToken === undefined ? { admin: randomBytes(24).toString('base64url') } : {}),
      ...(makeUp && secrets.serviceToken === undefined ? { service: randomBytes(24).toString('base64url') } : {}),
    };
    this.secrets = {
      ...secrets,
      ...(this.madeUpTokens.admin === undefined ? {} : { adminToken: this.madeUpTokens.admin }),
      ...(this.madeUpTokens.service === undefined ? {} : { serviceToken: this.madeUpTokens.service }),
    };
  }
}
