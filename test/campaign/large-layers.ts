import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { DEFAULT_EXPANSION_LIMITS, type ExpandedLayer, expandLayer } from '#expansion';
import { canMountLayers, checkErofs, entryOf, hasProgram, mountLayer, type RawTarEntry, saveExpanded, temporaryFolder } from '#expansion/testing';
import { GiB, MiB } from '#quantities';
import { MemoryShare } from '#shares/testing';

/** What is promised of a million entries; what an expansion holds whatever the layer's size is counted in. */
const MAX_BYTES_PER_ENTRY = 400;

/** One figure of the campaign, and the bound it was held against. */
export interface CampaignFigure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly bound: number;
  readonly holds: boolean;
}

/** A tar that is made while it is read. Its digest is taken in a run of its own. */
type TarParts = () => Iterable<Uint8Array>;
type Shape = (index: number) => readonly RawTarEntry[];

/** What of the campaign is wanted. */
export interface LargeLayersWanted {
  /** A part of the names of the layers; empty for all. */
  readonly only: string;
  /** Entries of those that have many. */
  readonly entryCount: number;
}

/** Expands layers too large for the suite, and measures. Takes minutes. */
export async function runLargeLayers({ only, entryCount }: LargeLayersWanted, print: (line: string) => void): Promise<CampaignFigure[]> {
  const figures: CampaignFigure[] = [];
  for (const [name, shape] of Object.entries(SHAPES)) {
    if (!name.includes(only)) continue;
    print(`${name} …`);
    figures.push(await memoryOf(name, () => entries(entryCount, shape)));
  }
  for (const [name, change] of Object.entries(HUGE_SIZES)) {
    if (!name.includes(only)) continue;
    print(`${name} …`);
    figures.push(await hugeFile(name, change));
  }
  return figures;
}

const folder = (index: number): RawTarEntry => ({ name: `srv/app/modules/folder-${index}/`, type: '5', mode: 0o755 });
const fileIn = (index: number): string => `srv/app/modules/folder-${Math.floor(index / 1000)}/file-${String(index).padStart(7, '0')}.js`;

/** Entries of several shapes, by their number. Files are empty or have one byte: entries are what is measured. */
const SHAPES: Readonly<Record<string, Shape>> = {
  'files in directories of a thousand': (index) => [...(index % 1000 === 0 ? [folder(index / 1000)] : []), { name: fileIn(index), contents: 'x' }],
  'files in one directory': (index) => [{ name: `all/file-${String(index).padStart(7, '0')}` }],
  'directories': (index) => [{ name: `tree/${Math.floor(index / 1000)}/${index}/`, type: '5' }],
  'symbolic links': (index) => [{ name: `links/${Math.floor(index / 1000)}/link-${index}`, type: '2', linkName: `../../elsewhere/target-${index}` }],
  'hard links': (index) => [index % 10 === 0 ? { name: fileIn(index) } : { name: fileIn(index), type: '1', linkName: fileIn(index - (index % 10)) }],
  'files with one of a hundred attributes': (index) => [{ name: fileIn(index), pax: { 'SCHILY.xattr.user.class': `class ${index % 100}` } }],
};

/** A file of over 8 GiB whose size stands in the two ways that there are. */
const HUGE_SIZES: Readonly<Record<string, Partial<RawTarEntry>>> = {
  'a stored file of 8.5 GiB, its size in base 256': { change: (header) => putBase256(header, HUGE_BYTES) },
  'a stored file of 8.5 GiB, its size in a record': { size: 0, pax: { size: String(8.5 * GiB) } },
};
const HUGE_BYTES = 8.5 * GiB;

function* entries(count: number, at: Shape): Generator<Uint8Array> {
  for (let index = 0; index < count; index += 500) {
    yield Buffer.concat(Array.from({ length: 500 }, (_, offset) => at(index + offset)).flat().map(entryOf));
  }
  yield Buffer.alloc(1024);
}

async function memoryOf(name: string, parts: TarParts): Promise<CampaignFigure> {
  const collect = garbageCollector();
  const share = new MemoryShare({ name: 'home' });
  // What the layer before left is freed in turns of the event loop.
  for (let turn = 0; turn < 10; turn += 1) {
    collect();
    await setImmediate();
  }
  const before = process.memoryUsage();
  let most = 0;
  let calls = 0;
  share.before = ({ operation }) => {
    calls += 1;
    if (operation !== 'writeRange' || calls % 4 !== 0) return;
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    most = Math.max(most, heapUsed + arrayBuffers - share.traffic.writtenBytes - before.heapUsed - before.arrayBuffers);
  };
  const expanded = await expand(parts, share);
  const value = Math.round(most / expanded.entryCount);
  return { name: `memory of ${expanded.entryCount} ${name}`, value, unit: 'bytes an entry', bound: MAX_BYTES_PER_ENTRY, holds: value <= MAX_BYTES_PER_ENTRY };
}

/** Expands, mounts and reads back a file whose contents tell where they stand. */
async function hugeFile(name: string, change: Partial<RawTarEntry>): Promise<CampaignFigure> {
  const share = new MemoryShare({ name: 'home' });
  const contents = createHash('sha256');
  const expanded = await expand(() => hugeTar(change, contents), share);
  const expected = contents.digest('hex');
  if (!canMountLayers() || !hasProgram('fsck.erofs')) return { name: `${name}, expanded alone`, value: expanded.vhd.sizeBytes, unit: 'bytes', bound: HUGE_BYTES, holds: expanded.vhd.sizeBytes > HUGE_BYTES };
  await using scratch = await temporaryFolder();
  const file = `${scratch.path}/layer.vhd`;
  await saveExpanded(share, expanded, file);
  const clean = (await checkErofs(file)) === '';
  await mkdir(`${scratch.path}/mounted`);
  await using _mount = await mountLayer(file, `${scratch.path}/mounted`);
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(`${scratch.path}/mounted/huge`)) hash.update(chunk as Buffer);
  const same = hash.digest('hex') === expected;
  await rm(file);
  return { name: `${name}, mounted`, value: same ? HUGE_BYTES : 0, unit: 'bytes as they were', bound: HUGE_BYTES, holds: same && clean };
}

/** Zeros with a mark at every 64 MiB, which MemoryShare keeps as holes. */
function* hugeTar(change: Partial<RawTarEntry>, contents: Hash): Generator<Uint8Array> {
  const isFirst = contents.copy().digest('hex') === createHash('sha256').digest('hex');
  yield entryOf({ name: 'huge', ...change });
  for (let at = 0; at < HUGE_BYTES; at += 64 * MiB) {
    const part = Buffer.alloc(64 * MiB);
    part.write(`at ${at}`);
    if (isFirst) contents.update(part);
    for (let from = 0; from < part.length; from += MiB) yield part.subarray(from, from + MiB);
  }
  yield Buffer.alloc(1024);
}

async function expand(parts: TarParts, share: MemoryShare): Promise<ExpandedLayer> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for (const part of parts()) {
    hash.update(part);
    sizeBytes += part.length;
  }
  async function* blob(): AsyncGenerator<Uint8Array> {
    yield* parts();
  }
  return expandLayer({
    layer: { digest: `sha256:${hash.digest('hex')}`, sizeBytes }, blob: blob(), share, claimId: 'campaign', isHeld: () => Promise.resolve(true), signal: new AbortController().signal,
    limits: DEFAULT_EXPANSION_LIMITS,
  });
}

function putBase256(header: Buffer, value: number): void {
  header.fill(0, 124, 136).writeBigUInt64BE(BigInt(value), 128);
  header[124] = 0x80;
}

function garbageCollector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}
