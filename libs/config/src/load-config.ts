import { parseDocument } from 'yaml';

import { type Config, configSchema } from './config.js';
import { ConfigError, type ConfigProblem } from './config-error.js';
import { type Environment, readEnvironment } from './environment.js';
import { readSecrets, type Secrets } from './secrets.js';

/** The largest configuration file that is read, in characters. */
const FILE_LENGTH_MAX = 1024 * 1024;
/** How much of a wrong value a problem shows, in characters. */
const SHOWN_LENGTH_MAX = 80;

/** What {@link loadConfig} reads from: all that is impure, handed in. */
export interface ConfigSources {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Settings from the command line, by their path in the YAML file; they win over everything. */
  readonly overrides?: { readonly roles?: readonly string[] };
  readonly readFile: (path: string) => string;
}

/**
 * Reads environment and YAML file, in three pure steps: environment → configuration → secrets. The command line wins over the environment, the environment over the file, the file over the defaults.
 * @throws {ConfigError} with every problem of all three steps at once.
 */
export function loadConfig(sources: ConfigSources): { readonly config: Config; readonly secrets: Secrets } {
  const { environment, problems } = readEnvironment(sources.environment, sources.readFile);
  const found: ConfigProblem[] = [...problems];
  const document = readDocument(environment, sources.readFile, found);
  override(document, environment, sources.overrides ?? {}, found);
  const parsed = configSchema.safeParse(document);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) found.push(...problemsOf(issue, document));
  }
  const { secrets, problems: secretProblems } = readSecrets(environment, parsed.data);
  found.push(...secretProblems);
  if (found.length > 0 || parsed.data === undefined) throw new ConfigError(found);
  return { config: parsed.data, secrets };
}

function readDocument(environment: Environment, readFile: ConfigSources['readFile'], problems: ConfigProblem[]): Record<string, unknown> {
  const path = environment.TRANSLOCATOR_CONFIG;
  if (path === undefined) return {};
  let text: string;
  try {
    text = readFile(path);
  } catch (error) {
    problems.push({ field: 'TRANSLOCATOR_CONFIG', value: path, rule: `must be a readable file: ${error instanceof Error ? error.message : String(error)}` });
    return {};
  }
  if (text.length > FILE_LENGTH_MAX) {
    problems.push({ field: path, rule: `must have at most ${FILE_LENGTH_MAX} characters` });
    return {};
  }
  const document = parseDocument(text, { uniqueKeys: true });
  for (const error of document.errors) problems.push({ field: path, rule: `must be YAML: ${error.message.split('\n')[0]}` });
  const content: unknown = document.errors.length > 0 ? {} : (document.toJS({ maxAliasCount: 100 }) ?? {});
  if (typeof content === 'object' && content !== null && !Array.isArray(content)) return content as Record<string, unknown>;
  problems.push({ field: path, value: shown(content), rule: 'must be a mapping of settings' });
  return {};
}

function override(document: Record<string, unknown>, environment: Environment, overrides: NonNullable<ConfigSources['overrides']>, problems: ConfigProblem[]): void {
  const put = (section: string, key: string, value: unknown): void => {
    const current = document[section];
    document[section] = { ...(typeof current === 'object' && current !== null ? current : {}), [key]: value };
  };
  if (environment.TRANSLOCATOR_HOST !== undefined) put('server', 'host', environment.TRANSLOCATOR_HOST);
  if (environment.TRANSLOCATOR_PORT !== undefined) {
    if (/^\d{1,5}$/.test(environment.TRANSLOCATOR_PORT)) put('server', 'port', Number(environment.TRANSLOCATOR_PORT));
    else problems.push({ field: 'TRANSLOCATOR_PORT', value: shown(environment.TRANSLOCATOR_PORT), rule: 'must be a port number from 0 to 65535' });
  }
  if (environment.TRANSLOCATOR_FOLDER !== undefined) document.folder = environment.TRANSLOCATOR_FOLDER;
  if (environment.TRANSLOCATOR_REGISTRY_URL !== undefined) put('registry', 'url', environment.TRANSLOCATOR_REGISTRY_URL);
  if (environment.TRANSLOCATOR_LOG_LEVEL !== undefined) put('log', 'level', environment.TRANSLOCATOR_LOG_LEVEL);
  if (overrides.roles !== undefined) document.roles = overrides.roles.includes('all') ? ['lookup', 'control', 'worker'] : overrides.roles;
}

function problemsOf(issue: { readonly code?: string; readonly path: readonly PropertyKey[]; readonly message: string; readonly keys?: readonly string[] }, document: unknown): ConfigProblem[] {
  if (issue.code === 'unrecognized_keys') {
    return (issue.keys ?? []).map((key) => ({ field: [...issue.path, key].join('.'), rule: 'is not a setting of this service' }));
  }
  let value: unknown = document;
  for (const key of issue.path) value = typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined;
  return [{ field: issue.path.join('.') || 'configuration', ...(value === undefined ? {} : { value: shown(value) }), rule: issue.message }];
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}…` : text;
}
