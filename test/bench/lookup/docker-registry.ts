import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Digest } from '#oci';

import { BenchError } from '../bench.js';
import { ServerProgram } from './load.js';

/** Debian's registry over a folder that has these blobs in one repository. Its log goes nowhere, and nobody is asked for a token. @throws {BenchError} when it does not come up. */
export async function startDockerRegistry(folder: string, port: number, repository: string, blobs: readonly Digest[]): Promise<ServerProgram> {
  const root = join(folder, 'registry');
  for (const digest of blobs) {
    const hex = digest.slice('sha256:'.length);
    const blob = join(root, 'docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex);
    const link = join(root, 'docker/registry/v2/repositories', repository, '_layers/sha256', hex);
    await mkdir(blob, { recursive: true });
    await mkdir(link, { recursive: true });
    await writeFile(join(blob, 'data'), 'a layer');
    await writeFile(join(link, 'link'), digest);
  }
  const config = join(folder, 'registry.yml');
  await writeFile(config, `version: 0.1\nlog: { level: error, accesslog: { disabled: true } }\nstorage: { filesystem: { rootdirectory: ${root} }, cache: { blobdescriptor: inmemory } }\nhttp: { addr: "127.0.0.1:${port}" }\n`);
  const server = new ServerProgram(['docker-registry', 'serve', config]);
  for (let tries = 0; tries < 100; tries += 1) {
    const answer = await fetch(`http://127.0.0.1:${port}/v2/`).catch(() => undefined);
    if (answer?.ok === true) return server;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await server[Symbol.asyncDispose]();
  throw new BenchError(`docker-registry did not come up: ${server.complaints.slice(-5).join('\n')}`);
}
