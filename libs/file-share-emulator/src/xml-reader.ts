import { KiB } from '#quantities';

import { AzureFilesError } from './azure-error.js';

/** The longest XML body of a request: service properties with their CORS rules, policies of a share. */
export const XML_BYTES_MAX = 64 * KiB;
const DEPTH_MAX = 8;
const ELEMENTS_MAX = 2000;
const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

/** An element of a request's XML body. */
export interface XmlElement {
  readonly name: string;
  /** Its own text, without that of the elements within. */
  readonly text: string;
  readonly children: readonly XmlElement[];
}

/**
 * Reads a document of elements and text, which is all that bodies of requests have. Attributes are passed over;
 * document types, processing instructions within and unknown entities are refused.
 * @throws {AzureFilesError} `InvalidXmlDocument`
 */
export function readXml(document: string): XmlElement {
  const tokens = document.replace(/^\uFEFF?\s*(?:<\?xml[^>]*\?>)?/, '').matchAll(/<!--[\s\S]*?-->|<(\/?)([A-Za-z_][\w.-]*)((?:\s[^<>]*?)?)(\/?)>|([^<]+)|</g);
  const root = opened('');
  const stack = [root];
  let count = 0;
  for (const [whole, slash, name, , empty, text] of tokens) {
    const top = stack.at(-1)!;
    if (whole.startsWith('<!--')) continue;
    if (text !== undefined) {
      top.text += decoded(text);
    } else if (name === undefined) {
      throw new AzureFilesError('InvalidXmlDocument');
    } else if (slash === '/') {
      if (top.name !== name || stack.length === 1) throw new AzureFilesError('InvalidXmlDocument');
      stack.pop();
    } else {
      const element = opened(name);
      top.children.push(element);
      count += 1;
      if (empty !== '/') stack.push(element);
      if (stack.length > DEPTH_MAX || count > ELEMENTS_MAX) throw new AzureFilesError('InvalidXmlDocument');
    }
  }
  const [first, ...others] = root.children;
  if (stack.length !== 1 || first === undefined || others.length > 0 || root.text.trim() !== '') throw new AzureFilesError('InvalidXmlDocument');
  return first;
}

/** The first element called `name` right within `parent`. */
export function childOf(parent: XmlElement | undefined, name: string): XmlElement | undefined {
  return parent?.children.find((child) => child.name === name);
}

/** The text of the element called `name` right within `parent`, or undefined where there is none or nothing in it. */
export function textOf(parent: XmlElement | undefined, name: string): string | undefined {
  const text = childOf(parent, name)?.text.trim();
  return text === '' ? undefined : text;
}

function opened(name: string): { name: string; text: string; children: XmlElement[] } {
  return { name, text: '', children: [] };
}

function decoded(text: string): string {
  return text.replaceAll(/&([^;&]*);?/g, (_whole, entity: string) => {
    const code = /^#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}))$/.exec(entity);
    const point = code === null ? Number.NaN : Number.parseInt(code[1] ?? code[2] ?? '', code[1] === undefined ? 10 : 16);
    const character = Number.isNaN(point) ? (Object.hasOwn(ENTITIES, entity) ? ENTITIES[entity] : undefined) : point <= 0x10_ff_ff ? String.fromCodePoint(point) : undefined;
    if (character === undefined) throw new AzureFilesError('InvalidXmlDocument');
    return character;
  });
}
