import { stringify } from 'yaml';

import type { Config } from './config.js';
import type { Secrets } from './secrets.js';

/** The configuration in force as YAML, durations in milliseconds and sizes in bytes, with a list of which secrets are set; never their values. */
export function printConfig(config: Config, secrets: Secrets): string {
  const set = Object.entries(secrets).filter(([, value]) => typeof value === 'string').map(([name]) => name);
  const accounts = (['shareKeys', 'shareSas', 'shareReadSas', 'webhookSecrets'] as const).flatMap((name) => Object.keys(secrets[name]).map((account) => `${name}.${account}`));
  return stringify({ ...config, secretsSet: [...set, ...accounts].toSorted() });
}
