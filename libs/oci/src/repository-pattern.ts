import { isRepositoryName } from './reference.js';

const WILDCARD = '*';

/** True when `text` is a repository name, or the beginning of one followed by `*`; `*` alone means every repository. */
export function isRepositoryPattern(text: string): boolean {
  if (!text.endsWith(WILDCARD)) return isRepositoryName(text);
  const beginning = text.slice(0, -WILDCARD.length);
  // Whatever may still follow, a letter makes the beginning of a name a whole one.
  return beginning === '' || isRepositoryName(`${beginning}a`);
}

/** True when one of the patterns means `repository`. */
export function matchesPattern(patterns: readonly string[], repository: string): boolean {
  return patterns.some((pattern) => (pattern.endsWith(WILDCARD) ? repository.startsWith(pattern.slice(0, -WILDCARD.length)) : repository === pattern));
}
