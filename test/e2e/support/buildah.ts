import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { run } from './programs.js';

/** Builds images with Debian's `buildah`, all of its state in one folder. */
export class Buildah {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Commits `image` as one more layer on top of `from` (`scratch` for nothing): `change` works on its root folder. */
  async layer(from: string, image: string, change: (root: string, copy: (source: string, target: string) => Promise<string>) => Promise<unknown>): Promise<void> {
    const container = (await this.#run('from', '--quiet', from)).split('\n').at(-1) ?? '';
    const root = await this.#run('mount', container);
    await change(root, (source, target) => this.#run('copy', '--quiet', container, source, target));
    await this.#run('commit', '--quiet', '--rm', '--format', 'oci', container, image);
  }

  /** Writes an image into the OCI layout of this folder. @returns its name for skopeo. */
  async layout(image: string): Promise<string> {
    const name = `oci:${join(this.#folder, 'layout')}:${image}`;
    await this.#run('push', '--quiet', image, name);
    return name;
  }

  /** Pushes an image to `host/repository:tag` over http. */
  async push(image: string, name: string): Promise<void> {
    await this.#run('push', '--quiet', '--tls-verify=false', image, `docker://${name}`);
  }

  /** Pulls `host/repository:tag` over http. @returns the image's id. */
  pull(name: string): Promise<string> {
    return this.#run('pull', '--quiet', '--tls-verify=false', `docker://${name}`);
  }

  /** `base` ← `libraries` ← `app`, of real files of this machine; `app` deletes a file of `base`. `next` is `app` with one more layer. */
  async buildImages(): Promise<void> {
    await this.layer('scratch', 'base', (_root, copy) => copy('/usr/share/common-licenses', '/licenses'));
    await this.layer('base', 'libraries', (_root, copy) => copy(process.execPath, '/bin/node'));
    await this.layer('libraries', 'app', async (root) => {
      await rm(join(root, 'licenses/GPL-2'));
      await writeFile(join(root, 'app.js'), 'console.log("from the image");\n', { mode: 0o640 });
    });
    await this.layer('app', 'next', (root) => writeFile(join(root, 'app.js'), 'console.log("from the next image");\n'));
  }

  #run(...args: readonly string[]): Promise<string> {
    const place = ['--root', join(this.#folder, 'root'), '--runroot', join(this.#folder, 'runroot'), '--storage-driver', 'vfs'];
    return run('buildah', [...place, ...args], { BUILDAH_ISOLATION: 'chroot' });
  }
}
