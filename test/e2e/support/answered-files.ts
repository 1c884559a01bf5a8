import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { digestHex, digestOf } from '#oci';

import type { PushedTag, SplitDeployment } from './split-deployment.js';

/** Looks at every file that a pull is answered with: on the disk, byte for byte, past the API and its disturbances. */
export class AnsweredFiles {
  /** Files that were looked at, by region and layer. */
  readonly #seen = new Map<string, string>();
  /** What was answered and was not whole. */
  readonly broken: string[] = [];
  readonly #deployment: SplitDeployment;

  constructor(deployment: SplitDeployment) {
    this.#deployment = deployment;
  }

  /** How many files have been looked at. */
  get count(): number {
    return this.#seen.size;
  }

  /** Pulls an image in a region and looks at the files that are new in the answer. @returns whether all of its layers are mounted. */
  async pull({ repository, tag }: PushedTag, region: string): Promise<boolean> {
    const { status, body } = await this.#deployment.client.pull(repository, tag, { 'x-teleport-region': region, 'x-teleport-transports': 'https' });
    if (status !== 200) return false;
    for (const layer of body.layers) {
      if (layer.kind !== 'mount') continue;
      const sources = layer.mounts.filter((mount) => mount.region === region);
      for (const { source } of sources) {
        const key = `${region} ${layer.digest}`;
        if (this.#seen.has(key)) continue;
        this.#seen.set(key, layer.vhd.digest);
        const found = await this.#digestOf(region, source);
        if (found !== layer.vhd.digest) this.broken.push(`${key} was answered with ${found}, not ${layer.vhd.digest}`);
      }
      if (sources.length === 0) return false;
    }
    return body.layers.every((layer) => layer.kind === 'mount');
  }

  async #digestOf(region: string, source: string): Promise<string> {
    const [, , , ...path] = new URL(source).pathname.split('/');
    return digestOfFile(join(this.#deployment.folderOf(region), ...path.map(decodeURIComponent)));
  }
}

async function digestOfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  } catch (error) {
    return `nothing: ${String(error)}`;
  }
  return `sha256:${hash.digest('hex')}`;
}

/** Puts onto the shares of some regions what a worker leaves that was stopped for so long that everybody else has finished: files of a layer that nobody knows. */
export async function leaveOrphans(deployment: SplitDeployment, regions: readonly string[]): Promise<void> {
  const hex = digestHex(digestOf('a layer that nobody knows'));
  for (const region of regions) {
    const folder = join(deployment.folderOf(region), '.partial');
    await mkdir(folder, { recursive: true });
    for (const attempt of ['expansion.left', `copy.${hex.slice(0, 16)}.left`]) await writeFile(join(folder, `${hex}.${attempt}.vhd`), 'the beginning');
  }
}

/** Files under a partial name on the shares of some regions, as `region/name`. */
export async function partialFiles(deployment: SplitDeployment, regions: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const region of regions) {
    const names = await readdir(join(deployment.folderOf(region), '.partial')).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    found.push(...names.map((name) => `${region}/${name}`));
  }
  return found;
}
