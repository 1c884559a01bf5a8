import { parseArgs } from 'node:util';

import { ENVIRONMENT_VARIABLES } from '#config';

/** What the command line asks for. */
export type Command =
  | { readonly kind: 'run'; readonly roles?: readonly string[] }
  | { readonly kind: 'print-config'; readonly roles?: readonly string[] }
  | { readonly kind: 'help' }
  | { readonly kind: 'invalid'; readonly message: string };

/** Reads the arguments after the program's name. Roles are checked with the rest of the configuration. */
export function parseCommandLine(args: readonly string[]): Command {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        role: { type: 'string', multiple: true },
        'print-config': { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help === true) return { kind: 'help' };
    const roles = values.role?.flatMap((each) => each.split(','));
    return { kind: values['print-config'] === true ? 'print-config' : 'run', ...(roles === undefined ? {} : { roles }) };
  } catch (error) {
    return { kind: 'invalid', message: error instanceof Error ? error.message : String(error) };
  }
}

/** What `--help` prints. */
export function usage(): string {
  const width = Math.max(...Object.keys(ENVIRONMENT_VARIABLES).map((name) => name.length));
  const variables = Object.entries(ENVIRONMENT_VARIABLES).map(([name, purpose]) => `  ${name.padEnd(width)}  ${purpose}`);
  return `translocator: replicates expanded container layers ahead of time, and answers pulls with network-close mounts

Usage: npm start -- [--role lookup|control|worker|all] [--print-config] [--help]

  --role          what this process does; may be given several times, or joined by commas. Default: all
  --print-config  print the configuration in force as YAML, without secrets, and stop
  --help          print this

Environment (a secret may also come from a file: NAME_FILE=/path):
${variables.join('\n')}

The configuration file is described in docs/operations.md.
`;
}
