import { createHash } from 'node:crypto';
import { link, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { BenchError } from '../bench.js';
import type { DebianLayer } from './debian-layers.js';
import type { ExpandedFile } from './expand-file.js';
import { runProgram, runScript } from './programs.js';

/** What the contenders need. */
export const PROGRAMS: Readonly<Record<string, string>> = {
  'apt-get': 'apt', 'dpkg-deb': 'dpkg', tar: 'tar', gzip: 'gzip', gunzip: 'gzip', sha256sum: 'coreutils', 'mkfs.erofs': 'erofs-utils', umoci: 'umoci',
};

/** One way through a layer, once: reads its blob from a local file, writes into an empty local folder. */
export type Contender = (layer: DebianLayer, folder: string) => Promise<number>;

/** The floor: whoever verifies a layer decompresses it and hashes the tar. */
export async function decompressAndHash(layer: DebianLayer): Promise<number> {
  const { seconds, stdout } = await runScript('gunzip -c "$1" | sha256sum', layer.blob);
  requireEqual(`sha256:${stdout.slice(0, 64)}`, layer.diffId, 'gunzip and sha256sum');
  return seconds;
}

/** What people do to get an EROFS image of a layer. */
export async function extractAndMake(layer: DebianLayer, folder: string): Promise<number> {
  const { seconds } = await runScript('mkdir "$2/tree"; tar --extract --gzip --numeric-owner --file="$1" --directory="$2/tree"; mkfs.erofs "$2/image.erofs" "$2/tree"', layer.blob, folder);
  return seconds;
}

/** What unpacking an image costs. The layout around the layer is made before the clock starts. */
export async function umociUnpack(layer: DebianLayer, folder: string): Promise<number> {
  const layout = join(folder, 'layout');
  const blobs = join(layout, 'blobs', 'sha256');
  await mkdir(blobs, { recursive: true });
  await link(layer.blob, join(blobs, layer.digest.slice(7)));
  const put = async (value: object): Promise<{ readonly digest: string; readonly size: number }> => {
    const bytes = Buffer.from(JSON.stringify(value));
    const hex = createHash('sha256').update(bytes).digest('hex');
    await writeFile(join(blobs, hex), bytes);
    return { digest: `sha256:${hex}`, size: bytes.length };
  };
  const type = 'application/vnd.oci.image';
  const config = await put({ architecture: 'amd64', os: 'linux', config: {}, rootfs: { type: 'layers', diff_ids: [layer.diffId] }, history: [{ created_by: 'bench' }] });
  const manifest = await put({
    schemaVersion: 2, mediaType: `${type}.manifest.v1+json`, config: { mediaType: `${type}.config.v1+json`, ...config },
    layers: [{ mediaType: `${type}.layer.v1.tar+gzip`, digest: layer.digest, size: layer.blobBytes }],
  });
  const entry = { mediaType: `${type}.manifest.v1+json`, ...manifest, annotations: { 'org.opencontainers.image.ref.name': 'bench' } };
  await writeFile(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
  await writeFile(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  const rootless = process.getuid?.() === 0 ? [] : ['--rootless'];
  const { seconds } = await runProgram('umoci', ['unpack', ...rootless, '--image', `${layout}:bench`, join(folder, 'bundle')]);
  return seconds;
}

/** Our own expansion, complete: both passes, everything verified and recorded. In a process of its own. */
export async function expand(layer: DebianLayer, folder: string): Promise<ExpandedFile> {
  const { stdout } = await runProgram(process.execPath, [join(import.meta.dirname, 'expand-file.js'), layer.blob, layer.digest, folder]);
  const result = JSON.parse(stdout) as ExpandedFile;
  requireEqual(result.expanded.diffId, layer.diffId, 'the expansion');
  return result;
}

function requireEqual(actual: string, expected: string, who: string): void {
  if (actual !== expected) throw new BenchError(`${who} made ${actual} of a tar that is ${expected}`);
}
