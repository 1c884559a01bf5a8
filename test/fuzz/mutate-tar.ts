import { entryOf, paxRecords, type RawTarEntry } from '#expansion/testing';

import type { Random } from './random.js';
import { TAR_RECIPES } from './tar-recipes.js';

const BLOCK = 512;
const NAMES = [
  '', '/', '.', './', '..', '../x', 'a/../b', '/etc/passwd', 'f', 'f/', 'f/x', 'lib', 'lib/x', 'up/x/y', 'bin/tool', './bin/tool', '.wh.', '.wh..', '.wh...', '.wh.f', '.wh..wh..opq', 'd/.wh..wh..opq', '.wh.lib/x',
  '.wh..wh.plnk', 'n'.repeat(100), 'a/'.repeat(49), '\xff\x00\xfe', 'caf\xe9', '\x01', 'many/', 'stargz.index.json',
];
const TYPES = ['0', '\0', '1', '2', '3', '4', '5', '6', '7', 'x', 'g', 'L', 'K', 'S', 'V', 'M', 'D', 'X', 'Z', '\xff'];
const MAGICS = ['ustar\x0000', 'ustar  \0', '\0\0\0\0\0\0\0\0', 'ustar\0\0\0', 'USTAR\x0000'];
const NUMBERS = ['0', '00000000000', '77777777777', '1', '512', '00000001000', ' 17 \0', '-1', '9', 'x', '\0', '        ', '4000000', '00000000777', '37777777777'];
/** Headers' fields as `offset, length`; the checksum is left to be made again. */
const NUMBER_FIELDS: readonly (readonly [number, number])[] = [[100, 8], [108, 8], [116, 8], [124, 12], [136, 12], [329, 8], [337, 8], [386, 12], [398, 12], [483, 12]];
const RECORDS: readonly (readonly [string, string])[] = [
  ['path', 'f'], ['path', '../x'], ['path', 'p'.repeat(300)], ['path', 'a/'.repeat(2100)], ['linkpath', 'f'], ['linkpath', '/etc/shadow'], ['size', '0'], ['size', '1000000'], ['size', '9007199254740991'], ['size', '-1'],
  ['uid', '4294967295'], ['uid', '99999999999999999999'], ['gid', '12'], ['mtime', '1e9'], ['mtime', '-0.5'], ['mtime', '999999999999999.9'], ['SCHILY.devmajor', '4096'], ['SCHILY.xattr.user.x', 'y'],
  ['SCHILY.xattr.', 'no name'], ['SCHILY.xattr.user.', 'no name'], [`SCHILY.xattr.user.${'n'.repeat(256)}`, 'x'], ['SCHILY.xattr.user.big', 'v'.repeat(65_536)], ['SCHILY.xattr.trusted.overlay.opaque', 'y'],
  ['SCHILY.xattr.system.posix_acl_access', 'x'], ['LIBARCHIVE.xattr.user.%zz%3D', '!!'], ['GNU.sparse.map', '0,1'], ['GNU.sparse.size', '10'], ['GNU.sparse.major', '1'], ['GNU.sparse.realsize', '5'], ['GNU.sparse.name', ''],
  ['GNU.sparse.offset', '3'], ['GNU.sparse.numbytes', '3'], ['MSWINDOWS.rawsd', 'x'], ['comment', ''],
];

/** Makes a tar that is nearly right: entries of recipes, mixed, with a few things changed in ways that a reader could trip over. */
export function mutatedTar(random: Random): Buffer {
  const entries = mixed(random);
  for (let changes = random.below(3); changes > 0 && entries.length > 0; changes -= 1) {
    const at = random.below(entries.length);
    entries[at] = changedEntry(random, entries[at]!);
  }
  const units = entries.map(entryOf);
  const headersAt = unitStarts(units);
  let tar: Buffer = Buffer.concat([...units, Buffer.alloc(random.oneIn(8) ? BLOCK * random.below(4) : 2 * BLOCK)]);
  // Every change of bytes is likely to end the reading where it stands: half of the tars get none.
  const changes = random.oneIn(2) ? 0 : 1 + random.below(3);
  for (let change = 0; change < changes; change += 1) tar = changedBytes(random, tar, headersAt);
  return tar;
}

/** Some entries of one recipe or of several, some twice, some elsewhere. */
function mixed(random: Random): RawTarEntry[] {
  const entries = [...random.pick(TAR_RECIPES)];
  const changes = random.below(4);
  for (let change = 0; change < changes; change += 1) {
    const at = random.below(entries.length + 1);
    switch (random.below(5)) {
      case 0: entries.splice(at, 1); break;
      case 1: entries.splice(at, 0, ...entries.slice(random.below(entries.length + 1)).slice(0, 2)); break;
      case 2: entries.splice(at, 0, ...random.pick(TAR_RECIPES).slice(0, 6)); break;
      case 3: entries.reverse(); break;
      default: entries.splice(at, 0, { name: random.pick(NAMES), type: random.pick(TYPES), linkName: random.pick(NAMES), contents: 'c'.repeat(random.below(1200)) });
    }
  }
  return entries;
}

function changedEntry(random: Random, entry: RawTarEntry): RawTarEntry {
  switch (random.below(7)) {
    case 0: return { ...entry, name: random.pick(NAMES) };
    case 1: return { ...entry, linkName: random.pick(NAMES) };
    case 2: return { ...entry, type: random.pick(TYPES) };
    case 3: return { ...entry, magic: random.pick(MAGICS) };
    case 4: return { ...entry, size: random.pick([0, 1, 511, 512, 513, 70_000, 8 ** 11 - 1]) };
    case 5: return { ...entry, type: random.pick(['x', 'g']), contents: malformedRecords(random) };
    default: return { ...entry, pax: { ...entry.pax, ...Object.fromEntries([random.pick(RECORDS), random.pick(RECORDS)]) } };
  }
}

/** Records one of which may have a length that is not its own. */
function malformedRecords(random: Random): Buffer {
  const records = paxRecords(Object.fromEntries([random.pick(RECORDS), random.pick(RECORDS), random.pick(RECORDS)]));
  if (records.length > 0 && random.oneIn(2)) records[random.below(Math.min(records.length, 4))] = 0x30 + random.below(10);
  return records;
}

function changedBytes(random: Random, tar: Buffer, headersAt: readonly number[]): Buffer {
  const header = headersAt.length === 0 ? 0 : random.pick(headersAt);
  const at = Math.min(random.below(tar.length + 1), tar.length);
  switch (random.below(8)) {
    case 0: return tar.subarray(0, at);
    case 1: return Buffer.concat([tar.subarray(0, at - (at % BLOCK)), Buffer.alloc(BLOCK), tar.subarray(at - (at % BLOCK))]);
    case 2: return Buffer.concat([tar, Buffer.from('garbage'.repeat(random.below(200)))]);
    case 3: {
      const [from, to] = [header, at].sort((a, b) => a - b);
      return Buffer.concat([tar.subarray(0, from), tar.subarray(to)]);
    }
    case 4:
      if (tar.length > 0) tar[at % tar.length]! ^= 1 << random.below(8);
      return tar;
    default:
      return changedHeader(random, tar, header);
  }
}

/** Puts something into a field of one header, and makes the checksum right again, mostly. */
function changedHeader(random: Random, tar: Buffer, at: number): Buffer {
  const block = tar.subarray(at, at + BLOCK);
  if (block.length < BLOCK) return tar;
  const [offset, length] = random.pick(NUMBER_FIELDS);
  switch (random.below(4)) {
    case 0:
      block.write(random.pick(NUMBERS).slice(0, length), offset, 'latin1');
      break;
    case 1:
      for (let index = offset; index < offset + length; index += 1) block[index] = random.below(256);
      block[offset]! |= 0x80;
      break;
    case 2:
      block.fill(random.pick([0x00, 0x20, 0x37, 0xff]), offset, offset + length);
      break;
    default:
      block[random.below(BLOCK)] = random.below(256);
  }
  if (!random.oneIn(10)) repairChecksum(block);
  return tar;
}

function repairChecksum(block: Buffer): void {
  block.fill(' ', 148, 156);
  block.write(`${block.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0`, 148, 'latin1');
}

/** Where headers begin: at the start of each unit, and behind an extension header that stands in front of its entry. */
function unitStarts(units: readonly Buffer[]): number[] {
  const starts: number[] = [];
  let at = 0;
  for (const unit of units) {
    starts.push(at);
    if (unit[156] === 'x'.charCodeAt(0) && unit.length >= 3 * BLOCK) {
      const sizeBytes = parseInt(unit.toString('latin1', 124, 135), 8);
      const next = BLOCK + Math.ceil(sizeBytes / BLOCK) * BLOCK;
      if (next < unit.length) starts.push(at + next);
    }
    at += unit.length;
  }
  return starts;
}
