import { parseArgs } from 'node:util';

import { DEFAULT_PORT, type EmulatedAccount, type FileShareEmulatorOptions, optionProblems } from '#file-share-emulator';
import { parse } from 'yaml';
import { z } from 'zod';

/** Printed by `--help`. */
export const HELP = `file-share-emulator: the REST API of Azure Files over local folders

  file-share-emulator [--config FILE] [--folder FOLDER] [--host HOST] [--port PORT] [--account NAME:KEY]...

  --config FILE        YAML: folder, host, port, accounts: [{ name, key, region }]
  --folder FOLDER      where shares are kept: FOLDER/ACCOUNT/SHARE/…; default .file-shares
  --host HOST          interface to listen on; default 127.0.0.1
  --port PORT          default ${DEFAULT_PORT}; 0 for a free one
  --account NAME:KEY   an account and its base64 key; may be repeated
  --help               this text

Each may come from the environment: FILE_SHARE_EMULATOR_CONFIG, _FOLDER, _HOST, _PORT, _ACCOUNTS (NAME:KEY,NAME:KEY…).
A flag wins over the environment, the environment over the file. Keys are better kept out of the command line.

Endpoint of an account: http://HOST:PORT/ACCOUNT. Shares survive the end of this process at any moment (kill -9);
after a power loss the latest contents may be missing, as they are with any program that does not wait for the disk.
`;

/** What the command line and the environment ask for: to run, to be helped, or something that cannot be. */
export type Config =
  | { readonly kind: 'run'; readonly options: FileShareEmulatorOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'invalid'; readonly problems: readonly string[] };

const FILE = z.strictObject({
  folder: z.string().optional(),
  host: z.string().optional(),
  port: z.number().int().optional(),
  accounts: z.array(z.strictObject({ name: z.string(), key: z.string(), region: z.string().optional() })).optional(),
});
const ENVIRONMENT_PREFIX = 'FILE_SHARE_EMULATOR_';

/**
 * Reads the configuration: flags before environment before file, all problems at once.
 * @param readFile gives the text of the file that `--config` names; what it throws is told as a problem.
 */
export function readConfig(argv: readonly string[], env: Readonly<Record<string, string | undefined>>, readFile: (path: string) => string): Config {
  const flags = readFlags(argv);
  if (typeof flags === 'string') return { kind: 'invalid', problems: [flags] };
  if (flags.help === true) return { kind: 'help' };
  const setting = (name: 'config' | 'folder' | 'host' | 'port'): string | undefined => flags[name] ?? env[ENVIRONMENT_PREFIX + name.toUpperCase()];
  const problems: string[] = [];
  const path = setting('config');
  const file = path === undefined ? {} : readConfigFile(path, readFile, problems);
  const listed = flags.account ?? env[`${ENVIRONMENT_PREFIX}ACCOUNTS`]?.split(',');
  const port = setting('port');
  const options = {
    folder: setting('folder') ?? file.folder ?? '.file-shares',
    accounts: listed?.map(readAccount) ?? file.accounts ?? [],
    host: setting('host') ?? file.host ?? '127.0.0.1',
    port: port === undefined ? (file.port ?? DEFAULT_PORT) : Number(port),
  };
  problems.push(...optionProblems(options));
  return problems.length > 0 ? { kind: 'invalid', problems } : { kind: 'run', options };
}

function readFlags(argv: readonly string[]): { config?: string; folder?: string; host?: string; port?: string; account?: string[]; help?: boolean } | string {
  try {
    const text = { type: 'string' } as const;
    const options = { config: text, folder: text, host: text, port: text, account: { ...text, multiple: true }, help: { type: 'boolean' } } as const;
    return parseArgs({ args: [...argv], options, strict: true }).values;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function readConfigFile(path: string, readFile: (path: string) => string, problems: string[]): z.infer<typeof FILE> {
  try {
    const parsed = FILE.safeParse(parse(readFile(path)) ?? {});
    if (parsed.success) return parsed.data;
    problems.push(...parsed.error.issues.map((issue) => `${path}: ${issue.path.join('.')}: ${issue.message}`));
  } catch (error) {
    problems.push(`${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return {};
}

function readAccount(text: string): EmulatedAccount {
  const [name = '', ...key] = text.trim().split(':');
  return { name, key: key.join(':') };
}
