/** An emulated storage account. */
export interface EmulatedAccount {
  /** 3 to 24 lower-case letters and digits, as Azure names accounts. */
  readonly name: string;
  /** The account key, base64. */
  readonly key: string;
  /** The region it stands for; for people only. */
  readonly region?: string | undefined;
}

/** What an emulator is started with. */
export interface FileShareEmulatorOptions {
  /** Where shares are kept; made when absent. One process at a time may use it. */
  readonly folder: string;
  readonly accounts: readonly EmulatedAccount[];
  /** Interface to listen on; default `127.0.0.1`. */
  readonly host?: string;
  /** Default {@link DEFAULT_PORT}; 0 for a free one. */
  readonly port?: number;
}

/** One of the ports by which the Azure SDKs recognise path-style URLs on any host name (12.31.0; on an IP address or localhost any port will do). */
export const DEFAULT_PORT = 11_004;

const ACCOUNT_NAME = /^[a-z0-9]{3,24}$/;
const KEY = /^[A-Za-z0-9+/]{22,}={0,2}$/;
/** An account key has 64 bytes; shorter ones are accepted in tests down to this. */
const KEY_BYTES_MIN = 16;

/** Everything that is wrong with the options, as sentences that never contain a key; empty when they can be used. */
export function optionProblems(options: FileShareEmulatorOptions): string[] {
  const problems: string[] = [];
  if (options.folder === '') problems.push('folder: must not be empty');
  if (options.accounts.length === 0) problems.push('accounts: at least one is needed');
  const port = options.port ?? DEFAULT_PORT;
  if (!Number.isInteger(port) || port < 0 || port > 65_535) problems.push(`port: ${port} is not a port`);
  const seen = new Set<string>();
  for (const [index, { name, key }] of options.accounts.entries()) {
    if (!ACCOUNT_NAME.test(name)) problems.push(`accounts[${index}].name: ${JSON.stringify(name)} is not 3 to 24 lower-case letters and digits`);
    if (seen.has(name)) problems.push(`accounts[${index}].name: ${name} is there twice`);
    if (!KEY.test(key) || Buffer.from(key, 'base64').length < KEY_BYTES_MIN) problems.push(`accounts[${index}].key: must be base64 of at least ${KEY_BYTES_MIN} bytes`);
    seen.add(name);
  }
  return problems;
}
