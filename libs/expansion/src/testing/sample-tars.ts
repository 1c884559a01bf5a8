import { createHash } from 'node:crypto';

import { tarOf } from './tar-builder.js';

/** Bytes that do not compress, and are always the same. */
export function noise(bytes: number, seed: string): Buffer {
  const blocks: Buffer[] = [];
  for (let index = 0; index * 64 < bytes; index += 1) blocks.push(createHash('sha512').update(`${seed}${index}`).digest());
  return Buffer.concat(blocks).subarray(0, bytes);
}

/** A layer of a few entries, one of nearly every type. */
export const SMALL_TAR = tarOf(
  { name: './', type: '5', mode: 0o755 },
  { name: 'etc/', type: '5', mode: 0o755, uid: 1, gid: 2 },
  { name: 'etc/hosts', contents: '127.0.0.1 localhost\n', pax: { mtime: '1700000000.123456789', 'SCHILY.xattr.user.note': 'x' } },
  { name: 'etc/hosts-too', type: '1', linkName: 'etc/hosts' },
  { name: 'etc/link', type: '2', linkName: 'hosts' },
  { name: 'dev-null', type: '3', major: 1, minor: 3, mode: 0o666 },
  { name: '.wh.gone' },
);
/** A layer of several pieces, whole ones of zeros among them. */
export const LARGE_TAR = tarOf({ name: 'a', contents: noise(9_000_000, 'a') }, { name: 'zeros', contents: Buffer.alloc(9_000_000) }, { name: 'b', contents: noise(5_000_000, 'b') });
