import { ShareError } from './share-error.js';

/** Characters of one path component, at most: the limit of Azure Files and of the file systems below an emulator. */
const COMPONENT_CHARACTERS_MAX = 255;
/** Characters of a whole path, at most (Azure Files). */
const PATH_CHARACTERS_MAX = 2048;
const FORBIDDEN = /["\\:|<>*?\p{Cc}]/u;

/** A file's path taken apart: the folders from the root, and the name. */
export interface SharePath {
  readonly folders: readonly string[];
  readonly name: string;
}

/**
 * Takes the path of a file apart.
 * @throws {ShareError} `SHARE_PROTOCOL` for a path that no share could hold: empty, `.` or `..` components, characters
 * that SMB forbids, a trailing dot, too long.
 */
export function parseSharePath(path: string): SharePath {
  const components = path.split('/');
  const wrong = path.length > PATH_CHARACTERS_MAX || components.some((component) => !isComponent(component));
  if (wrong) throw new ShareError('SHARE_PROTOCOL', `${JSON.stringify(path.slice(0, 300))} is not a path of a file on a share`, { details: { path } });
  return { folders: components.slice(0, -1), name: components.at(-1)! };
}

function isComponent(text: string): boolean {
  return text !== '' && text.length <= COMPONENT_CHARACTERS_MAX && !text.endsWith('.') && !FORBIDDEN.test(text);
}
