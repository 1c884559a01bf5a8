import type { Config } from './config.js';
import type { ConfigProblem } from './config-error.js';
import type { Environment } from './environment.js';

/** What must never be printed or logged. It comes from the environment only and is kept apart from {@link Config}. */
export interface Secrets {
  readonly databaseUrl?: string;
  readonly registryPassword?: string;
  /** Absent on loopback with the embedded default: the service then makes one and prints it once. */
  readonly adminToken?: string;
  readonly serviceToken?: string;
  readonly notificationToken?: string;
  /** Storage account name → its key in base64. */
  readonly shareKeys: Readonly<Record<string, string>>;
  /** Storage account name → a shared access signature, without the question mark. */
  readonly shareSas: Readonly<Record<string, string>>;
  /** The same, of signatures that can only read. */
  readonly shareReadSas: Readonly<Record<string, string>>;
  /** Webhook → what signs the events that it is sent. */
  readonly webhookSecrets: Readonly<Record<string, string>>;
}

/** The shortest token that is let through: 16 characters of a random one are beyond guessing. */
export const TOKEN_LENGTH_MIN = 16;

/** Reads the secrets and checks that those are there which `config` needs. Problems never show a value. */
export function readSecrets(environment: Environment, config: Config | undefined): { readonly secrets: Secrets; readonly problems: readonly ConfigProblem[] } {
  const problems: ConfigProblem[] = [];
  for (const name of ['TRANSLOCATOR_ADMIN_TOKEN', 'TRANSLOCATOR_SERVICE_TOKEN', 'TRANSLOCATOR_NOTIFICATION_TOKEN'] as const) {
    const token = environment[name];
    if (token !== undefined && !/^[\x21-\x7e]{16,512}$/.test(token)) {
      problems.push({ field: name, rule: `must be ${TOKEN_LENGTH_MIN} to 512 printable characters without spaces` });
    }
  }
  const shareKeys = readPairs(environment, SHARE_KEYS, problems);
  const shareSas = readPairs(environment, SHARE_SAS, problems);
  const shareReadSas = readPairs(environment, { ...SHARE_SAS, variable: 'TRANSLOCATOR_SHARE_READ_SAS' }, problems);
  for (const [account, sas] of Object.entries(shareReadSas)) {
    if (!/^[rl]+$/.test(new URLSearchParams(sas).get('sp') ?? '')) {
      problems.push({ field: 'TRANSLOCATOR_SHARE_READ_SAS', rule: `must be signatures that read and list at most (sp=r or sp=rl), and that of ${account} is none` });
    }
  }
  const webhookSecrets = readPairs(environment, WEBHOOK_SECRETS, problems);
  for (const name of Object.keys(webhookSecrets)) {
    if (config !== undefined && !config.events.webhooks.some((webhook) => webhook.name === name)) problems.push({ field: 'TRANSLOCATOR_WEBHOOK_SECRETS', rule: `must name webhooks of events.webhooks, and ${name} is none` });
  }
  if (config !== undefined) problems.push(...missing(environment, config, { key: shareKeys, sas: shareSas }));
  return {
    secrets: {
      ...(environment.TRANSLOCATOR_DATABASE_URL === undefined ? {} : { databaseUrl: environment.TRANSLOCATOR_DATABASE_URL }),
      ...(environment.TRANSLOCATOR_REGISTRY_PASSWORD === undefined ? {} : { registryPassword: environment.TRANSLOCATOR_REGISTRY_PASSWORD }),
      ...(environment.TRANSLOCATOR_ADMIN_TOKEN === undefined ? {} : { adminToken: environment.TRANSLOCATOR_ADMIN_TOKEN }),
      ...(environment.TRANSLOCATOR_SERVICE_TOKEN === undefined ? {} : { serviceToken: environment.TRANSLOCATOR_SERVICE_TOKEN }),
      ...(environment.TRANSLOCATOR_NOTIFICATION_TOKEN === undefined ? {} : { notificationToken: environment.TRANSLOCATOR_NOTIFICATION_TOKEN }),
      shareKeys,
      shareSas,
      shareReadSas,
      webhookSecrets,
    },
    problems,
  };
}

/** A variable with something secret for each storage account, or webhook. */
interface AccountPairs {
  readonly variable: keyof Environment;
  readonly pair: RegExp;
  readonly rule: string;
}

const SHARE_KEYS: AccountPairs = {
  variable: 'TRANSLOCATOR_SHARE_KEYS', pair: /^([a-z0-9]{3,24})=([A-Za-z0-9+/]{40,}={0,2})$/, rule: 'must be account=base64key pairs joined by commas',
};
const SHARE_SAS: AccountPairs = {
  variable: 'TRANSLOCATOR_SHARE_SAS', pair: /^([a-z0-9]{3,24})=\??([\w=&%:.~+/-]*\bsig=[\w=&%:.~+/-]+)$/, rule: 'must be account=signature pairs joined by commas, each signature with its sig=',
};

const WEBHOOK_SECRETS: AccountPairs = {
  variable: 'TRANSLOCATOR_WEBHOOK_SECRETS', pair: /^([a-z0-9-]{1,63})=([\x21-\x2b\x2d-\x7e]{16,512})$/, rule: 'must be webhook=secret pairs joined by commas, each secret with 16 to 512 printable characters without spaces and commas',
};

function readPairs(environment: Environment, { variable, pair, rule }: AccountPairs, problems: ConfigProblem[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const text of (environment[variable] ?? '').split(',').filter((each) => each !== '')) {
    const [, account, secret] = pair.exec(text.trim()) ?? [];
    if (account === undefined || secret === undefined) problems.push({ field: variable, rule });
    else found[account] = secret;
  }
  return found;
}

function missing(environment: Environment, config: Config, ofAccounts: Readonly<Record<'key' | 'sas', Readonly<Record<string, string>>>>): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const need = (name: keyof Environment, why: string): void => {
    if (environment[name] === undefined) problems.push({ field: name, rule: `is required ${why}` });
  };
  if (config.database.kind === 'server') need('TRANSLOCATOR_DATABASE_URL', 'for database.kind server');
  if (config.registry.username !== undefined) need('TRANSLOCATOR_REGISTRY_PASSWORD', 'because registry.username is set');
  if (!isEmbeddedOnLoopback(config)) {
    need('TRANSLOCATOR_ADMIN_TOKEN', 'unless the service listens on loopback with the embedded default');
    need('TRANSLOCATOR_SERVICE_TOKEN', 'unless the service listens on loopback with the embedded default');
    need('TRANSLOCATOR_NOTIFICATION_TOKEN', 'unless the service listens on loopback with the embedded default');
  }
  if (config.shares.kind === 'azure' && config.shares.credential !== 'identity') {
    const { credential } = config.shares;
    const { variable, what } = { key: { variable: 'TRANSLOCATOR_SHARE_KEYS', what: 'the key' }, sas: { variable: 'TRANSLOCATOR_SHARE_SAS', what: 'the signature' } }[credential];
    for (const { name, share } of config.regions.list) {
      if (share.account !== undefined && ofAccounts[credential][share.account] === undefined) {
        problems.push({ field: variable, rule: `must have ${what} of account ${share.account}, for region ${name}` });
      }
    }
  }
  return problems;
}

/** True for the deployment of one person on one machine, in which tokens may be made up and printed. */
export function isEmbeddedOnLoopback(config: Config): boolean {
  return config.database.kind === 'embedded' && ['127.0.0.1', '::1', 'localhost'].includes(config.server.host);
}
