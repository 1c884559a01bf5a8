import { describe, expect, it } from 'vitest';

import { type AccessScope, allows } from '#access';
import { loadConfig } from '#config';

import { bootstrapTokens } from '../access/bootstrap-tokens.js';
import { Settings } from './settings.js';

const TOKENS = {
  TRANSLOCATOR_ADMIN_TOKEN: 'admin-token-0123456789', TRANSLOCATOR_SERVICE_TOKEN: 'service-token-0123456789', TRANSLOCATOR_NOTIFICATION_TOKEN: 'notify-token-0123456789',
};

function settings(yaml: string, environment: Readonly<Record<string, string>> = {}): Settings {
  const { config, secrets } = loadConfig({ environment: { TRANSLOCATOR_CONFIG: 'c.yaml', ...environment }, readFile: () => yaml });
  return new Settings(config, secrets);
}

/** The tokens of the environment that open routes of a scope. */
function opening(made: Settings, scope: AccessScope): string[] {
  return bootstrapTokens(made).filter(({ scopes }) => allows(scopes, scope)).map(({ secretText }) => secretText);
}

describe('the settings of a process', () => {
  it('make tokens up where nobody else can connect, new ones for every process', () => {
    const [one, other] = [settings('{}'), settings('{}')];
    expect(one.madeUpTokens).toEqual({ admin: expect.stringMatching(/^[\w-]{32}$/), service: expect.stringMatching(/^[\w-]{32}$/) });
    expect(one.madeUpTokens.admin).not.toBe(one.madeUpTokens.service);
    expect(one.madeUpTokens.admin).not.toBe(other.madeUpTokens.admin);
    expect(opening(one, 'admin:write')).toEqual([one.madeUpTokens.admin]);
    expect(opening(one, 'lookup')).toEqual([one.madeUpTokens.service, one.madeUpTokens.admin]);
    expect(opening(one, 'notify')).toEqual([]);
  });

  it('keep the tokens that are configured, and make up only the other', () => {
    const made = settings('{}', { TRANSLOCATOR_ADMIN_TOKEN: TOKENS.TRANSLOCATOR_ADMIN_TOKEN });
    expect(opening(made, 'admin:write')).toEqual([TOKENS.TRANSLOCATOR_ADMIN_TOKEN]);
    expect(Object.keys(made.madeUpTokens)).toEqual(['service']);
  });

  it('make nothing up beyond loopback or beside a server, even where a token is missing', () => {
    const { config } = settings('server: {host: 0.0.0.0}', TOKENS);
    const made = new Settings(config, { shareKeys: {}, shareSas: {}, shareReadSas: {}, webhookSecrets: {} });
    expect(made.madeUpTokens).toEqual({});
    expect([opening(made, 'admin:write'), opening(made, 'lookup'), opening(made, 'notify')]).toEqual([[], [], []]);
    expect(settings('database: {kind: server}', { ...TOKENS, TRANSLOCATOR_DATABASE_URL: 'postgres://a:b@db/c' }).madeUpTokens).toEqual({});
  });

  it('let the admin token do what the service token does, and not the other way round', () => {
    const made = settings('server: {host: 0.0.0.0}', TOKENS);
    expect(opening(made, 'admin:write')).toEqual([TOKENS.TRANSLOCATOR_ADMIN_TOKEN]);
    expect(opening(made, 'lookup')).toEqual([TOKENS.TRANSLOCATOR_SERVICE_TOKEN, TOKENS.TRANSLOCATOR_ADMIN_TOKEN]);
    expect(opening(made, 'notify')).toEqual([TOKENS.TRANSLOCATOR_NOTIFICATION_TOKEN]);
  });
});
