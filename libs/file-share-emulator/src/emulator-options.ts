import type { TokenIssuer } from './access/bearer-token.js';
import { TokenVerifier } from './access/bearer-token.js';
import type { DisturbanceSettings } from './control/disturbances.js';
import { disturbanceProblems } from './control/disturbance-problems.js';
import { certificateProblem } from './tls/certificate-files.js';

/** An emulated storage account. */
export interface EmulatedAccount {
  /** 3 to 24 lower-case letters and digits, as Azure names accounts. */
  readonly name: string;
  /** The account key, base64. */
  readonly key: string;
  /** The region it stands for: the links between regions are by these names. */
  readonly region?: string | undefined;
}

/** How HTTPS is served. */
export interface HttpsOptions {
  /** Default {@link DEFAULT_HTTPS_PORT}; 0 for a free one. */
  readonly port?: number | undefined;
  /** Certificate (with its chain) and key in PEM; both or neither. Without them a certificate is made and kept in the folder. */
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
  /** Names and addresses that a made certificate is for, besides `localhost`, the loopback addresses and the accounts' host names. */
  readonly names?: readonly string[] | undefined;
}

/** What an emulator is started with. */
export interface FileShareEmulatorOptions {
  /** Where shares are kept; made when absent. One process at a time may use it. */
  readonly folder: string;
  readonly accounts: readonly EmulatedAccount[];
  /** Interface to listen on; default `127.0.0.1`. */
  readonly host?: string | undefined;
  /** Of HTTP. Default {@link DEFAULT_PORT}; 0 for a free one. */
  readonly port?: number | undefined;
  /** Absent: no HTTPS, and so no tokens. */
  readonly https?: HttpsOptions | undefined;
  /** Whose tokens are taken; absent: nobody's. */
  readonly issuer?: TokenIssuer | undefined;
  /** Port of the control interface, on the loopback address only; absent: none. 0 for a free one. */
  readonly controlPort?: number | undefined;
  /** Limits and faults to begin with; default none. */
  readonly disturbances?: DisturbanceSettings | undefined;
  /** Days for which deleted shares can be restored, 0 to 365; default 0: not at all. */
  readonly deleteRetentionDays?: number | undefined;
}

/** One of the ports by which the Azure SDKs recognise path-style URLs on any host name (12.31.0; on an IP address or localhost any port will do). */
export const DEFAULT_PORT = 11_004;
/** As {@link DEFAULT_PORT}, for HTTPS. */
export const DEFAULT_HTTPS_PORT = 11_104;

const ACCOUNT_NAME = /^[a-z0-9]{3,24}$/;
const KEY = /^[A-Za-z0-9+/]{22,}={0,2}$/;
/** An account key has 64 bytes; shorter ones are accepted in tests down to this. */
const KEY_BYTES_MIN = 16;
const RETENTION_DAYS_MAX = 365;

/** Everything that is wrong with the options, as sentences (field, value, rule) that never contain a key; empty when they can be used. */
export function optionProblems(options: FileShareEmulatorOptions): string[] {
  const { folder, accounts, port, https, controlPort, deleteRetentionDays: days } = options;
  const problems: string[] = [];
  if (folder === '') problems.push('folder: must not be empty');
  problems.push(...accountProblems(accounts), ...portProblem('port', port), ...portProblem('https.port', https?.port), ...portProblem('controlPort', controlPort));
  const ports = [port ?? DEFAULT_PORT, ...(https === undefined ? [] : [https.port ?? DEFAULT_HTTPS_PORT]), ...(controlPort === undefined ? [] : [controlPort])].filter((one) => one !== 0);
  if (new Set(ports).size < ports.length) problems.push(`port, https.port, controlPort: ${ports.join(', ')} are not different ports`);
  if ((https?.certificate === undefined) !== (https?.key === undefined)) problems.push('https: certificate and key must be given both or not at all');
  else if (https?.certificate !== undefined) problems.push(...certificateProblem(https.certificate, https.key!));
  if (days !== undefined && !(Number.isInteger(days) && days >= 0 && days <= RETENTION_DAYS_MAX)) problems.push(`deleteRetentionDays: ${days} is not a whole number from 0 to ${RETENTION_DAYS_MAX}`);
  if (options.issuer !== undefined) problems.push(...issuerProblems(options.issuer, https !== undefined));
  problems.push(...disturbanceProblems(options.disturbances ?? {}));
  return problems;
}

function accountProblems(accounts: readonly EmulatedAccount[]): string[] {
  const problems: string[] = [];
  if (accounts.length === 0) problems.push('accounts: at least one is needed');
  const seen = new Set<string>();
  for (const [index, { name, key }] of accounts.entries()) {
    if (!ACCOUNT_NAME.test(name)) problems.push(`accounts[${index}].name: ${JSON.stringify(name)} is not 3 to 24 lower-case letters and digits`);
    if (seen.has(name)) problems.push(`accounts[${index}].name: ${name} is there twice`);
    if (!KEY.test(key) || Buffer.from(key, 'base64').length < KEY_BYTES_MIN) problems.push(`accounts[${index}].key: must be base64 of at least ${KEY_BYTES_MIN} bytes`);
    seen.add(name);
  }
  return problems;
}

function portProblem(field: string, port: number | undefined): string[] {
  return port === undefined || (Number.isInteger(port) && port >= 0 && port <= 65_535) ? [] : [`${field}: ${port} is not a port (0 to 65535)`];
}

function issuerProblems(issuer: TokenIssuer, hasHttps: boolean): string[] {
  const problems = hasHttps ? [] : ['issuer: tokens are taken over HTTPS only, and https is not set'];
  if (URL.parse(issuer.url) === null) problems.push(`issuer.url: ${JSON.stringify(issuer.url)} is not a URL`);
  try {
    new TokenVerifier(issuer);
  } catch (error) {
    problems.push(`issuer.keys: must be public keys as in a JSON Web Key Set (${error instanceof Error ? error.message : String(error)})`);
  }
  if (issuer.keys.length === 0) problems.push('issuer.keys: at least one is needed');
  return problems;
}
