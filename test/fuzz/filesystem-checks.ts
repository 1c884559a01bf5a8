import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';

import type { ExpandedLayer } from '#expansion';
import { canMountLayers, checkErofs, compareTrees, extractTar, hasProgram, mountLayer, readTarEntries, readTree, saveExpanded, temporaryFolder, type TarEntryKind } from '#expansion/testing';
import type { MemoryShare } from '#shares/testing';

const run = promisify(execFile);
/** Holds times and attributes that a filesystem on a disk may not. */
const MEMORY_FOLDER = '/dev/shm';

/** What {@link checkFilesystem} could look at: nothing without `fsck.erofs`; the extraction's tree where GNU tar takes the tar and means the same by it. */
export type FilesystemCheck = 'none' | 'fsck' | 'mounted' | 'compared';

/**
 * Looks at the file of an expanded tar with the programs of others: `fsck.erofs`, the kernel, and GNU tar where it extracts the same tar without a word and
 * no rule of layers makes a difference.
 * @throws {Error} that says what they found.
 */
export async function checkFilesystem(tar: Buffer, expanded: ExpandedLayer, share: MemoryShare): Promise<FilesystemCheck> {
  if (!hasProgram('fsck.erofs')) return 'none';
  await using folder = await temporaryFolder(existsSync(MEMORY_FOLDER) ? MEMORY_FOLDER : undefined);
  const file = `${folder.path}/layer.vhd`;
  await saveExpanded(share, expanded, file);
  const complaints = await checkErofs(file);
  if (complaints !== '') throw new Error(`fsck.erofs: ${complaints}`);
  if (!canMountLayers()) return 'fsck';
  await mkdir(`${folder.path}/mounted`);
  await using _mount = await mountLayer(file, `${folder.path}/mounted`);
  const entries = await readTree(`${folder.path}/mounted`);
  if (entries.size !== expanded.entryCount + 1) throw new Error(`the mount has ${entries.size - 1} entries, not ${expanded.entryCount}`);
  const implied = impliedFolders(tar);
  if (implied === undefined || !(await isTakenByGnuTar(tar, folder.path))) return 'mounted';
  await mkdir(`${folder.path}/extracted`);
  try {
    await extractTar(tar, `${folder.path}/extracted`);
  } catch {
    return 'mounted';
  }
  if (implied.has('.')) await utimes(`${folder.path}/extracted`, 0, 0);
  const differences = await compareTrees(`${folder.path}/mounted`, `${folder.path}/extracted`, { anyTime: implied });
  if (differences.length > 0) throw new Error(`the mount is not what GNU tar extracts:\n${differences.join('\n')}`);
  return 'compared';
}

/**
 * The folders whose times extraction makes up. Undefined for a tar that layers mean something else by than archives: whiteouts, a folder that comes again or
 * becomes a file (GNU tar keeps one that is not empty), links in the path of an entry, files with the name of a folder, attributes that are not kept on
 * every file, and several global headers, of which the last replaces the others for GNU tar and adds to them for POSIX.
 */
function impliedFolders(tar: Buffer): ReadonlySet<string> | undefined {
  if (blocksOfType(tar, 'g') > 1) return undefined;
  const listed = new Map<string, string>();
  const implied = new Set<string>(['.']);
  for (const { path, kind, xattrs, linkPath } of readTarEntries(tar)) {
    const names = path.split('/').filter((name) => name !== '' && name !== '.');
    const name = names.length === 0 ? '.' : names.join('/');
    if (names.some((part) => part.startsWith('.wh.')) || path.startsWith('/') || linkPath.startsWith('/') || linkPath.includes('..')) return undefined;
    if (listed.has(name) && (kind === 'directory' || listed.get(name) === 'directory')) return undefined;
    if (implied.has(name) && kind !== 'directory') return undefined;
    if ([...xattrs.keys()].some((xattr) => !isKeptOn(xattr, kind))) return undefined;
    if (kind === 'file' && path.endsWith('/')) return undefined;
    for (let depth = 1; depth < names.length; depth += 1) {
      const parent = names.slice(0, depth).join('/');
      if ((listed.get(parent) ?? 'directory') !== 'directory') return undefined;
      implied.add(parent);
    }
    listed.set(name, kind);
    if (name === '.') implied.delete('.');
  }
  return implied;
}

function isKeptOn(xattr: string, kind: TarEntryKind): boolean {
  if (xattr.startsWith('trusted.')) return xattr.length > 'trusted.'.length && !xattr.startsWith('trusted.overlay.');
  return /^user\.(?!overlay\.)./.test(xattr) && (kind === 'file' || kind === 'directory');
}

function blocksOfType(tar: Buffer, type: string): number {
  let count = 0;
  for (let at = 0; at + 512 <= tar.length; at += 512) if (tar[at + 156] === type.charCodeAt(0)) count += 1;
  return count;
}

async function isTakenByGnuTar(tar: Buffer, folder: string): Promise<boolean> {
  await writeFile(`${folder}/listed.tar`, tar);
  try {
    const { stderr } = await run('tar', ['--list', '--verbose', '--file', `${folder}/listed.tar`], { maxBuffer: 64 * 2 ** 20 });
    return stderr === '';
  } catch {
    return false;
  }
}
