import { randomBytes } from 'node:crypto';

import { type Config, isEmbeddedOnLoopback, type Secrets } from '#config';

/** Who a token is for: operators, registries that look up, or registries that notify. */
export type Audience = 'admin' | 'service' | 'notification';

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

  /** The tokens that open the routes of `audience`; none means open to everybody who can connect. */
  tokens(audience: Audience): readonly string[] {
    const { adminToken, serviceToken, notificationToken } = this.secrets;
    const accepted = { admin: [adminToken], service: [serviceToken, adminToken], notification: [notificationToken] }[audience];
    return accepted.filter((token) => token !== undefined);
  }
}
