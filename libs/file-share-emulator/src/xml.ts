/** Characters that XML 1.0 cannot hold, escaped or not. */
// oxlint-disable-next-line no-control-regex -- these are the very characters that are looked for
const INVALID = /[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]/;

/** `text` as the content of an element or of a quoted attribute. */
export function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

/** `<name>text</name>`, or nothing for an absent text. */
export function element(name: string, text: string | number | undefined): string {
  return text === undefined ? '' : `<${name}>${escapeXml(String(text))}</${name}>`;
}

/** ` name="text"`, or nothing for an absent text. */
export function attribute(name: string, text: string | undefined): string {
  return text === undefined ? '' : ` ${name}="${escapeXml(text)}"`;
}

/** False for a text with characters that XML cannot hold. */
export function isXmlText(text: string): boolean {
  return !INVALID.test(text);
}

/** The `Name` of a listed file or folder. */
export function nameElement(name: string): string {
  return nameElementOf('Name', name);
}

/** A name or path: percent-encoded and marked so where XML could not hold it. */
export function nameElementOf(tag: string, name: string): string {
  return isXmlText(name) ? element(tag, name) : `<${tag} Encoded="true">${encodeURIComponent(name)}</${tag}>`;
}

/** A whole document. */
export function xmlDocument(content: string): string {
  return `\uFEFF<?xml version="1.0" encoding="utf-8"?>${content}`;
}
