import { DISTURBANCE_SCHEMA, type FileShareEmulatorOptions, type HttpsOptions, type TokenIssuer } from '#file-share-emulator';
import { parse } from 'yaml';
import { z } from 'zod';

/** Gives the text of a file; what it throws is told as a problem. */
export type ReadFile = (path: string) => string;

const KEY_SET = z.object({ keys: z.array(z.custom<TokenIssuer['keys'][number]>((value) => typeof value === 'object' && value !== null && 'kty' in value, 'must be a JSON Web Key')) });
const FILE = z.strictObject({
  folder: z.string().optional(),
  host: z.string().optional(),
  port: z.number().int().optional(),
  accounts: z.array(z.strictObject({ name: z.string(), key: z.string(), region: z.string().optional() })).optional(),
  https: z.strictObject({ port: z.number().int().optional(), certificateFile: z.string().optional(), keyFile: z.string().optional(), names: z.array(z.string()).optional() }).optional(),
  issuer: z.strictObject({
    url: z.string(), keysFile: z.string().optional(), keys: KEY_SET.shape.keys.optional(), audience: z.string().optional(),
    roles: z.record(z.string(), z.enum(['reader', 'contributor'])).optional(),
  }).optional(),
  controlPort: z.number().int().optional(),
  deleteRetentionDays: z.number().int().optional(),
  ...DISTURBANCE_SCHEMA.shape,
});

type ConfigFile = z.infer<typeof FILE>;

/** What a file gives of the options. */
export type FileOptions = { readonly [Name in keyof FileShareEmulatorOptions]?: FileShareEmulatorOptions[Name] | undefined };

/**
 * Reads a configuration file and the files it names.
 * @param problems gets everything that is wrong, as `FILE: field: rule`; values of keys are never among it.
 */
export function readConfigFile(path: string, readFile: ReadFile, problems: string[]): FileOptions {
  const trouble = (field: string, error: unknown): void => void problems.push(`${path}: ${field}${error instanceof Error ? error.message : String(error)}`);
  const parsed = attempt(() => FILE.safeParse(parse(readFile(path)) ?? {}), (error) => trouble('', error));
  if (parsed?.success === false) problems.push(...parsed.error.issues.map((issue) => `${path}: ${fieldOf(issue.path)}${issue.message}`));
  if (parsed?.success !== true) return {};
  const { https, issuer, limits, links, faults, seed, ...rest } = parsed.data;
  return {
    ...rest,
    ...(https === undefined ? {} : { https: readHttps(https, readFile, trouble) }),
    ...(issuer === undefined ? {} : { issuer: readIssuer(issuer, readFile, trouble) }),
    disturbances: { limits, links, faults, seed },
  };
}

type Trouble = (field: string, error: unknown) => void;

function readHttps({ port, names, certificateFile, keyFile }: NonNullable<ConfigFile['https']>, readFile: ReadFile, trouble: Trouble): HttpsOptions {
  const text = (field: string, file: string | undefined): string | undefined => (file === undefined ? undefined : attempt(() => readFile(file), (error) => trouble(`https.${field}: `, error)));
  return { port, names, certificate: text('certificateFile', certificateFile), key: text('keyFile', keyFile) };
}

function readIssuer({ url, audience, roles, keys, keysFile }: NonNullable<ConfigFile['issuer']>, readFile: ReadFile, trouble: Trouble): TokenIssuer {
  const fromFile = keysFile === undefined ? [] : (attempt(() => KEY_SET.parse(JSON.parse(readFile(keysFile))).keys, (error) => trouble('issuer.keysFile: ', error)) ?? []);
  return { url, audience, roles, keys: [...(keys ?? []), ...fromFile] };
}

function attempt<T>(work: () => T, failed: (error: unknown) => void): T | undefined {
  try {
    return work();
  } catch (error) {
    failed(error);
    return undefined;
  }
}

/** `accounts[0].name: ` */
function fieldOf(path: readonly PropertyKey[]): string {
  const field = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('').replace(/^\./, '');
  return field === '' ? '' : `${field}: `;
}
