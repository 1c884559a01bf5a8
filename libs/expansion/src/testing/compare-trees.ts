import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { text } from 'node:stream/consumers';

/** Everything of one file that a layer can say. Names and values are one character per byte. */
export interface TreeEntry {
  readonly type: 'file' | 'directory' | 'symlink' | 'character' | 'block' | 'fifo' | 'socket';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
  /** Bytes of a file; of anything else it depends on the filesystem and is not compared. */
  readonly sizeBytes?: bigint;
  /** sha256 of a file's contents. */
  readonly contents?: string;
  readonly target?: string;
  /** Of devices, `major:minor`. */
  readonly device?: string;
  /** The first path of the walk that is the same file; absent for files with one name in the tree. */
  readonly sameAs?: string;
  readonly xattrs: Readonly<Record<string, string>>;
}

/** What {@link compareTrees} leaves out. */
export interface ComparisonOptions {
  /** Paths whose modification time one of the trees cannot know, such as directories without an entry of their own. */
  readonly anyTime?: ReadonlySet<string>;
}

/**
 * Walks a folder: every path below it, `.` for itself, with all that {@link TreeEntry} says. Needs root for `trusted.*` attributes and
 * python3 for any: Node cannot read extended attributes.
 */
export async function readTree(folder: string): Promise<Map<string, TreeEntry>> {
  const paths = ['.'];
  const entries = new Map<string, FoundEntry['entry']>();
  const names = new Map<string, string[]>();
  for (let next = 0; next < paths.length; next += 1) {
    const path = paths[next]!;
    const full = Buffer.from(`${folder}/${path}`, 'latin1');
    const { entry, file } = await readEntry(full);
    entries.set(path, entry);
    if (entry.type !== 'directory') names.set(file, [...(names.get(file) ?? []), path]);
    if (entry.type !== 'directory') continue;
    const children = (await readdir(full, { encoding: 'buffer' })).map((name) => name.toString('latin1'));
    for (const name of children.sort()) paths.push(path === '.' ? name : `${path}/${name}`);
  }
  const firstNames = new Map([...names.values()].filter((same) => same.length > 1).flatMap((same) => same.map((path) => [path, same[0]!] as const)));
  const xattrs = await readXattrs(folder, [...entries.keys()]);
  return new Map([...entries].map(([path, entry]) => {
    const sameAs = firstNames.get(path);
    return [path, { ...entry, ...(sameAs === undefined ? {} : { sameAs }), xattrs: xattrs.get(path) ?? {} }];
  }));
}

/** The differences between two folders, one line each; none when they are the same. */
export async function compareTrees(actual: string, expected: string, options: ComparisonOptions = {}): Promise<string[]> {
  const [left, right] = [await readTree(actual), await readTree(expected)];
  const differences: string[] = [];
  for (const path of new Set([...left.keys(), ...right.keys()])) {
    const ours = left.get(path);
    const theirs = right.get(path);
    if (ours === undefined || theirs === undefined) {
      differences.push(`${path}: ${ours === undefined ? 'missing' : 'not expected'}`);
      continue;
    }
    const hidden = options.anyTime?.has(path) === true ? { mtimeNs: 0n } : {};
    const [a, b] = [show({ ...ours, ...hidden }), show({ ...theirs, ...hidden })];
    if (a !== b) differences.push(`${path}: ${a} but expected ${b}`);
  }
  return differences;
}

function show(entry: TreeEntry): string {
  return JSON.stringify(entry, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
}

/** What stands under a path, and what tells that two names are one file. */
interface FoundEntry {
  readonly entry: Omit<TreeEntry, 'sameAs' | 'xattrs'>;
  readonly file: string;
}

async function readEntry(full: Buffer): Promise<FoundEntry> {
  const stat = await lstat(full, { bigint: true });
  const type = stat.isFile() ? 'file'
    : stat.isDirectory() ? 'directory'
      : stat.isSymbolicLink() ? 'symlink'
        : stat.isCharacterDevice() ? 'character'
          : stat.isBlockDevice() ? 'block'
            : stat.isFIFO() ? 'fifo' : 'socket';
  const entry = {
    type,
    mode: Number(stat.mode & 0o7777n),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    mtimeNs: stat.mtimeNs,
    ...(type === 'file' ? { sizeBytes: stat.size, contents: await hashOf(full) } : {}),
    ...(type === 'symlink' ? { target: (await readlink(full, { encoding: 'buffer' })).toString('latin1') } : {}),
    ...(type === 'character' || type === 'block' ? { device: deviceName(stat.rdev) } : {}),
  } as const;
  return { entry, file: `${stat.dev}:${stat.ino}` };
}

/** Linux's 64-bit form of a device number (`gnu_dev_makedev`), of which layers use 32 bits. */
function deviceName(rdev: bigint): string {
  return `${(rdev >> 8n) & 0xfffn}:${(rdev & 0xffn) | ((rdev >> 12n) & 0xfff00n)}`;
}

async function hashOf(file: Buffer): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

const READ_XATTRS = `
import json, os, sys
root = os.fsencode(sys.argv[1])
for path in sys.stdin.buffer.read().split(b'\\0')[:-1]:
    full = root + b'/' + path
    found = {n: os.getxattr(full, n, follow_symlinks=False).decode('latin1') for n in os.listxattr(full, follow_symlinks=False)}
    if found:
        print(json.dumps([path.decode('latin1'), dict(sorted(found.items()))]))
`;

async function readXattrs(folder: string, paths: readonly string[]): Promise<Map<string, Record<string, string>>> {
  const python = spawn('python3', ['-c', READ_XATTRS, folder], { stdio: ['pipe', 'pipe', 'inherit'] });
  python.stdin.end(Buffer.from(paths.map((path) => `${path}\0`).join(''), 'latin1'));
  const lines = (await text(python.stdout)).split('\n').filter((line) => line !== '');
  return new Map(lines.map((line) => JSON.parse(line) as [string, Record<string, string>]));
}
