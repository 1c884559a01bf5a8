import { parseArgs } from 'node:util';

import { DEFAULT_PORT, type EmulatedAccount, type FileShareEmulatorOptions, optionProblems } from '#file-share-emulator';

import { readConfigFile, type ReadFile } from './config-file.js';

/** What the command line and the environment ask for: to run, to be helped, or something that cannot be. */
export type Config =
  | { readonly kind: 'run'; readonly options: FileShareEmulatorOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'invalid'; readonly problems: readonly string[] };

const ENVIRONMENT_PREFIX = 'FILE_SHARE_EMULATOR_';
const SETTINGS = ['config', 'folder', 'host', 'port', 'https-port', 'control-port'] as const;

type Setting = (typeof SETTINGS)[number];
type Flags = Partial<Record<Setting, string>> & { readonly account?: string[]; readonly help?: boolean };

/**
 * Reads the configuration: flags before environment before file, all problems at once.
 * @param readFile gives the text of the files that `--config` and that file name; what it throws is told as a problem.
 */
export function readConfig(argv: readonly string[], env: Readonly<Record<string, string | undefined>>, readFile: ReadFile): Config {
  const flags = readFlags(argv);
  if (typeof flags === 'string') return { kind: 'invalid', problems: [flags] };
  if (flags.help === true) return { kind: 'help' };
  const setting = (name: Setting): string | undefined => flags[name] ?? env[ENVIRONMENT_PREFIX + name.toUpperCase().replaceAll('-', '_')];
  const number = (name: Setting): number | undefined => (setting(name) === undefined ? undefined : Number(setting(name)));
  const problems: string[] = [];
  const path = setting('config');
  const file = path === undefined ? {} : readConfigFile(path, readFile, problems);
  const listed = flags.account ?? env[`${ENVIRONMENT_PREFIX}ACCOUNTS`]?.split(',');
  const httpsPort = number('https-port');
  const controlPort = number('control-port') ?? file.controlPort;
  const options: FileShareEmulatorOptions = {
    ...file,
    folder: setting('folder') ?? file.folder ?? '.file-shares',
    accounts: listed?.map(readAccount) ?? file.accounts ?? [],
    host: setting('host') ?? file.host ?? '127.0.0.1',
    port: number('port') ?? file.port ?? DEFAULT_PORT,
    ...(httpsPort === undefined ? {} : { https: { ...file.https, port: httpsPort } }),
    ...(controlPort === undefined ? {} : { controlPort }),
  };
  problems.push(...optionProblems(options));
  return problems.length > 0 ? { kind: 'invalid', problems } : { kind: 'run', options };
}

function readFlags(argv: readonly string[]): Flags | string {
  try {
    const text = { type: 'string' } as const;
    const settings = Object.fromEntries(SETTINGS.map((name) => [name, text])) as Record<Setting, typeof text>;
    return parseArgs({ args: [...argv], options: { ...settings, account: { ...text, multiple: true }, help: { type: 'boolean' } }, strict: true }).values;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function readAccount(text: string): EmulatedAccount {
  const [name = '', ...key] = text.trim().split(':');
  return { name, key: key.join(':') };
}
