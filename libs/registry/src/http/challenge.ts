/** How a registry wants to be authorised: one challenge of a `WWW-Authenticate` header (RFC 9110 §11.6.1). */
export interface Challenge {
  /** In lower case: `basic`, `bearer`. */
  readonly scheme: string;
  /** Names in lower case. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** The longest header that is read. */
const HEADER_LENGTH_MAX = 8192;
const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const PARAMETER = /[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/y;
const SEPARATOR = /[ \t,]*/y;

/** Reads the challenges of a header in their order; what cannot be read ends the list. */
export function parseChallenges(header: string): Challenge[] {
  const text = header.slice(0, HEADER_LENGTH_MAX);
  const challenges: Challenge[] = [];
  let place = skip(text, 0);
  while (place < text.length) {
    const scheme = matchAt(TOKEN, text, place);
    if (scheme === null) break;
    place += scheme[0].length;
    const parameters: Record<string, string> = {};
    for (;;) {
      const parameter = matchAt(PARAMETER, text, place);
      if (parameter === null) break;
      parameters[(parameter[1] ?? '').toLowerCase()] = parameter[3] ?? (parameter[2] ?? '').replaceAll(/\\(.)/g, '$1');
      place = skip(text, place + parameter[0].length);
    }
    challenges.push({ scheme: scheme[0].toLowerCase(), parameters });
    place = skip(text, place);
  }
  return challenges;
}

function matchAt(pattern: RegExp, text: string, place: number): RegExpExecArray | null {
  pattern.lastIndex = place;
  return pattern.exec(text);
}

function skip(text: string, place: number): number {
  return place + (matchAt(SEPARATOR, text, place)?.[0].length ?? 0);
}
