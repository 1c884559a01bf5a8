import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { MiB } from '#quantities';

import { BenchError } from '../bench.js';
import { runProgram, runScript } from './programs.js';

/** Kept from run to run: fetching and packing takes longer than measuring. */
const CACHE = join(tmpdir(), 'translocator-bench-layers');

/** A layer to make from what Debian packages hold. */
export interface LayerRecipe {
  readonly name: string;
  /** Of the release that this machine runs. */
  readonly packages: readonly string[];
  readonly minTarBytes: number;
  readonly minFiles: number;
  readonly maxFiles: number;
}

/** A layer as a registry would hold it, in a local file. */
export interface DebianLayer {
  readonly name: string;
  /** The compressed tar. */
  readonly blob: string;
  readonly digest: string;
  readonly blobBytes: number;
  /** Of the tar. */
  readonly diffId: string;
  readonly tarBytes: number;
  /** Regular files. */
  readonly files: number;
}

/** Layers of the two kinds that public images have: libraries and sources of an interpreter, and programs of one binary. */
export const LAYERS: readonly LayerRecipe[] = [
  { name: 'many files', packages: ['rust-src', 'python3-scipy', 'python3-sympy', 'vim-runtime', 'git', 'libicu-dev'], minTarBytes: 200 * MiB, minFiles: 10_000, maxFiles: 1_000_000 },
  { name: 'few files', packages: ['pandoc', 'hugo'], minTarBytes: 100 * MiB, minFiles: 2, maxFiles: 1000 },
];

/**
 * Makes a layer, or takes the one that was made before: the packages are fetched with apt, unpacked without being installed, and packed
 * with GNU tar and `gzip -6` in an order and with times that are always the same.
 * @throws {BenchError} when they cannot be fetched, or are not what the recipe says.
 */
export async function debianLayer(recipe: LayerRecipe, tell: (line: string) => void): Promise<DebianLayer> {
  const key = createHash('sha256').update(JSON.stringify(recipe)).digest('hex').slice(0, 12);
  const folder = join(CACHE, key);
  const made = await readMade(folder);
  if (made !== undefined) return made;
  tell(`making the layer "${recipe.name}" of ${recipe.packages.join(', ')}`);
  const growing = `${folder}.${process.pid}`;
  await mkdir(join(growing, 'debs'), { recursive: true });
  try {
    await fetchPackages(recipe, join(growing, 'debs'));
    await runScript(
      `cd "$1"; mkdir root; for deb in debs/*.deb; do dpkg-deb --extract "$deb" root; done
       tar --create --sort=name --format=gnu --numeric-owner --owner=0 --group=0 --mtime=@0 --directory=root --file=layer.tar .
       gzip -6 --no-name --keep layer.tar; find root -type f | wc -l >files; sha256sum layer.tar layer.tar.gz >sums; stat --format=%s layer.tar layer.tar.gz >sizes`, growing,
    );
    const layer = await describe(recipe, growing);
    await writeFile(join(growing, 'layer.json'), JSON.stringify({ ...layer, blob: 'layer.tar.gz' }));
    await runScript('cd "$1"; rm -rf root debs layer.tar', growing);
    await rm(folder, { recursive: true, force: true });
    await rename(growing, folder);
    return { ...layer, blob: join(folder, 'layer.tar.gz') };
  } finally {
    await rm(growing, { recursive: true, force: true });
  }
}

async function fetchPackages({ packages }: LayerRecipe, folder: string): Promise<void> {
  try {
    await runProgram('apt-get', ['download', '-o', 'APT::Sandbox::User=root', ...packages], folder);
  } catch (cause) {
    throw new BenchError(`the packages ${packages.join(', ')} could not be fetched; does apt know them (apt-get update)? ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

async function describe({ name, minTarBytes, minFiles, maxFiles }: LayerRecipe, folder: string): Promise<DebianLayer> {
  const numbers = async (file: string): Promise<number[]> => (await readFile(join(folder, file), 'utf8')).trim().split('\n').map(Number);
  const [files = 0] = await numbers('files');
  const [tarBytes = 0, blobBytes = 0] = await numbers('sizes');
  const [diffId, digest] = (await readFile(join(folder, 'sums'), 'utf8')).split('\n').map((line) => `sha256:${line.slice(0, 64)}`);
  if (tarBytes < minTarBytes || files < minFiles || files > maxFiles) {
    throw new BenchError(`the layer "${name}" has ${files} files and ${tarBytes} bytes, which is not what it shall measure`);
  }
  return { name, blob: join(folder, 'layer.tar.gz'), digest: digest!, blobBytes, diffId: diffId!, tarBytes, files };
}

async function readMade(folder: string): Promise<DebianLayer | undefined> {
  const blob = join(folder, 'layer.tar.gz');
  try {
    const layer = JSON.parse(await readFile(join(folder, 'layer.json'), 'utf8')) as DebianLayer;
    return (await stat(blob)).size === layer.blobBytes ? { ...layer, blob } : undefined;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
