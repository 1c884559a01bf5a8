/** Names, in lower case and without `-` and `_`, under which secrets travel in objects. */
const SECRET_NAMES = /^(?:authorization|proxyauthorization|cookie|setcookie|password|passwd|secret|token|.*(?:secret|password|token|accountkey|accesskey|sharedkey)|sig|sas)$/;
const CENSORED = '[secret]';
/** How deep objects are followed into the log; what is deeper is left out. */
const DEPTH_MAX = 8;

/** Secrets that stand in texts: signatures of SAS URLs, passwords in URLs, and what follows an authentication scheme. */
const SECRET_TEXTS: readonly (readonly [RegExp, string])[] = [
  [/([?&]sig=)[^&\s"'\\]+/gi, `$1${CENSORED}`],
  [/(\b[a-z][a-z0-9+.-]*:\/\/[^\s/:@"'\\]*:)[^\s/@"'\\]+@/gi, `$1${CENSORED}@`],
  [/\b(Bearer|Basic|SharedKey) [A-Za-z0-9+/=._~:-]{8,}/g, `$1 ${CENSORED}`],
];

/** The same text without the secrets that have a form by which they can be told. */
export function textWithoutSecrets(text: string): string {
  return SECRET_TEXTS.reduce((clean, [pattern, put]) => clean.replaceAll(pattern, put), text);
}

/**
 * A copy in which the values of all members that are named like secrets are replaced, at any depth, and texts are without secrets. Errors become what
 * `ofError` makes of them; other objects that are not plain stay as they are.
 */
export function withoutSecrets(value: unknown, ofError: (error: Error) => unknown): unknown {
  const walk = (part: unknown, above: readonly unknown[]): unknown => {
    if (typeof part === 'string') return textWithoutSecrets(part);
    if (typeof part !== 'object' || part === null) return part;
    if (part instanceof Error) return ofError(part);
    if (above.includes(part)) return '[circular]';
    if (above.length >= DEPTH_MAX) return '[deeper]';
    const path = [...above, part];
    if (Array.isArray(part)) return part.map((each) => walk(each, path));
    const prototype: unknown = Object.getPrototypeOf(part);
    if (prototype !== Object.prototype && prototype !== null) return part;
    return Object.fromEntries(Object.entries(part).map(([name, each]) => [name, isSecretName(name) && each !== undefined ? CENSORED : walk(each, path)]));
  };
  return walk(value, []);
}

function isSecretName(name: string): boolean {
  return SECRET_NAMES.test(name.toLowerCase().replaceAll(/[-_]/g, ''));
}
