/** The environment variables that the service reads, with what each is for. `--help` prints this table. */
export const ENVIRONMENT_VARIABLES = {
  TRANSLOCATOR_CONFIG: 'path of the YAML configuration file; none: the embedded default',
  TRANSLOCATOR_HOST: 'address to listen on, instead of server.host',
  TRANSLOCATOR_PORT: 'port to listen on, instead of server.port',
  TRANSLOCATOR_FOLDER: 'folder of the embedded database and shares, instead of folder',
  TRANSLOCATOR_REGISTRY_URL: 'URL of the registry, instead of registry.url',
  TRANSLOCATOR_LOG_LEVEL: 'fatal, error, warn, info, debug or trace, instead of log.level',
  TRANSLOCATOR_DATABASE_URL: 'secret: postgres://user:password@host:5432/name, for database.kind server',
  TRANSLOCATOR_REGISTRY_PASSWORD: 'secret: the password of registry.username',
  TRANSLOCATOR_ADMIN_TOKEN: 'secret: bearer token of the admin API, 16 characters or more',
  TRANSLOCATOR_SERVICE_TOKEN: 'secret: bearer token of /v1 lookups, for registries, 16 characters or more',
  TRANSLOCATOR_NOTIFICATION_TOKEN: 'secret: what registries send as Authorization: Bearer with notifications; none: any sender is heard',
  TRANSLOCATOR_SHARE_KEYS: 'secret: account=base64key pairs joined by commas, for shares.credential key',
  TRANSLOCATOR_SHARE_SAS: 'secret: account=signature pairs joined by commas, for shares.credential sas: of the account, or of the share with rcwdl',
  TRANSLOCATOR_SHARE_READ_SAS: 'secret: the same with signatures that only read, by which other shares copy from these; without: they are no sources',
  TRANSLOCATOR_WEBHOOK_SECRETS: 'secret: webhook=secret pairs joined by commas, by which what is sent to a webhook is signed',
} as const;

/** The name of a variable that the service reads. */
export type EnvironmentVariable = keyof typeof ENVIRONMENT_VARIABLES;

/** The service's own part of the process environment, as text; what is absent or empty is not in it. */
export type Environment = Readonly<Partial<Record<EnvironmentVariable, string>>>;

/** The secrets may also come from a file, whose path stands in the variable's name with `_FILE` behind it. */
export const FILE_SUFFIX = '_FILE';

/**
 * Picks the service's variables from an environment. A variable that begins with `TRANSLOCATOR_` and is not known is reported:
 * it is more likely misspelt than meant for somebody else.
 */
export function readEnvironment(
  source: Readonly<Record<string, string | undefined>>,
  readFile: (path: string) => string,
): { readonly environment: Environment; readonly problems: readonly { field: string; rule: string }[] } {
  const environment: Partial<Record<EnvironmentVariable, string>> = {};
  const problems: { field: string; rule: string }[] = [];
  for (const [name, value] of Object.entries(source)) {
    if (!name.startsWith('TRANSLOCATOR_') || name.startsWith('TRANSLOCATOR_TEST_') || value === undefined || value === '') continue;
    const fromFile = name.endsWith(FILE_SUFFIX);
    const variable = fromFile ? name.slice(0, -FILE_SUFFIX.length) : name;
    if (!isVariable(variable)) {
      problems.push({ field: name, rule: `is not a variable of this service; it knows ${Object.keys(ENVIRONMENT_VARIABLES).join(', ')}` });
    } else if (!fromFile) {
      environment[variable] ??= value;
    } else {
      try {
        environment[variable] = readFile(value).trim();
      } catch (error) {
        problems.push({ field: name, rule: `must be a readable file: ${error instanceof Error ? error.message : String(error)}` });
      }
    }
  }
  return { environment, problems };
}

function isVariable(name: string): name is EnvironmentVariable {
  return Object.hasOwn(ENVIRONMENT_VARIABLES, name);
}
