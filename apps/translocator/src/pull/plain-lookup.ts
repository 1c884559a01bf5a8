import type { PlainLookup, Transport } from '#mounts';
import { isDigest } from '#oci';

/** A plain lookup, and who asks for it. */
export interface PlainLookupBody extends PlainLookup {
  readonly client?: string | undefined;
}

/** As in the contract's schema of a lookup. */
const REGION_LENGTH_MAX = 64;
const CLIENT_LENGTH_MAX = 200;
/** Characters that stand for themselves in JSON and take one byte. */
const PLAIN_TEXT = /^[ !#-[\]-~]*$/;
const FIELDS = ['repository', 'manifest', 'layers', 'region', 'transports', 'client'] as const;
type Field = (typeof FIELDS)[number];
/** Every list of transports, each named once, as JSON. */
const TRANSPORT_LISTS: ReadonlyMap<string, readonly Transport[]> = new Map(orders<Transport>(['smb', 'nfs', 'https', 'file']).map((list) => [JSON.stringify(list), list]));

/**
 * Reads the body of a lookup where it has the plain form that programs write: an object without spaces, each field once, text without escapes, no `have`. What it reads
 * is what the schema of the contract reads from the same bytes, provided that `layersText` is a list of digests (whoever knows the image compares it as a whole) and that the repository's name is one.
 * @param text one character for each byte.
 * @returns undefined for every other form, good or bad: the schema decides.
 */
export function readPlainLookup(text: string): PlainLookupBody | undefined {
  const values = fieldsOf(text);
  const { repository, manifest, layers, region, transports, client } = values ?? {};
  if (repository === undefined || manifest === undefined || layers === undefined || region === undefined) return undefined;
  if (!isDigest(manifest) || region.length > REGION_LENGTH_MAX || (client !== undefined && client.length > CLIENT_LENGTH_MAX)) return undefined;
  const named = transports === undefined ? undefined : TRANSPORT_LISTS.get(transports);
  if (transports !== undefined && named === undefined) return undefined;
  return { repository, manifest, layersText: layers, region, ...(named === undefined ? {} : { transports: named }), ...(client === undefined ? {} : { client }) };
}

/** The text of each field: of a string what is between its quotes, of a list everything with its brackets. */
function fieldsOf(text: string): Partial<Record<Field, string>> | undefined {
  const values: Partial<Record<Field, string>> = {};
  let at = 1;
  if (text.charCodeAt(0) !== OPEN_BRACE) return undefined;
  for (;;) {
    const nameEnd = text.indexOf('":', at);
    const name = text.slice(at + 1, nameEnd) as Field;
    if (nameEnd < 0 || text.charCodeAt(at) !== QUOTE || !FIELDS.includes(name) || values[name] !== undefined) return undefined;
    const value = valueAt(text, nameEnd + 2, name === 'layers' || name === 'transports');
    if (value === undefined) return undefined;
    values[name] = value.text;
    at = value.endAt + 1;
    const next = text.charCodeAt(value.endAt);
    if (next === CLOSE_BRACE) return at === text.length ? values : undefined;
    if (next !== COMMA) return undefined;
  }
}

const [OPEN_BRACE, CLOSE_BRACE, QUOTE, COMMA, BRACKET] = [0x7b, 0x7d, 0x22, 0x2c, 0x5b];

function valueAt(text: string, beginAt: number, isList: boolean): { readonly text: string; readonly endAt: number } | undefined {
  if (text.charCodeAt(beginAt) !== (isList ? BRACKET : QUOTE)) return undefined;
  const last = text.indexOf(isList ? ']' : '"', beginAt + 1);
  if (last < 0) return undefined;
  if (isList) return { text: text.slice(beginAt, last + 1), endAt: last + 1 };
  const inside = text.slice(beginAt + 1, last);
  return PLAIN_TEXT.test(inside) ? { text: inside, endAt: last + 1 } : undefined;
}

/** Every order of every choice of these. */
function orders<Each>(of: readonly Each[]): Each[][] {
  return [[], ...of.flatMap((first) => orders(of.filter((each) => each !== first)).map((others) => [first, ...others]))];
}
