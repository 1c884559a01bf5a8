import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { eventually } from './eventually.js';
import { end, run } from './programs.js';

/** What is not needed to fetch contents, and does not start everywhere. */
const WITHOUT = ['io.containerd.grpc.v1.cri', ...['aufs', 'btrfs', 'zfs', 'devmapper'].map((name) => `io.containerd.snapshotter.v1.${name}`)];

/** A containerd of the test's own, to fetch images by the hosts of a folder. */
export class Containerd implements AsyncDisposable {
  private constructor(
    private readonly folder: string,
    private readonly stop: () => Promise<unknown>,
  ) {}

  /** Starts Debian's containerd over `folder`, with sockets of its own. */
  static async start(folder: string): Promise<Containerd> {
    await mkdir(folder, { recursive: true });
    const config = [
      'version = 2', `root = "${folder}/root"`, `state = "${folder}/state"`, `disabled_plugins = ${JSON.stringify(WITHOUT)}`,
      '[grpc]', `address = "${folder}/c.sock"`, '[ttrpc]', `address = "${folder}/t.sock"`,
    ];
    await writeFile(join(folder, 'config.toml'), config.join('\n'));
    const program = spawn('containerd', ['--config', join(folder, 'config.toml')], { stdio: 'ignore' });
    const containerd = new Containerd(folder, () => end(program));
    try {
      await eventually('containerd answers', async () => (await containerd.#ctr('version')).includes('Server'));
    } catch (error) {
      await end(program);
      throw error;
    }
    return containerd;
  }

  /** Fetches an image with everything in it, asking `hosts` in their order for what `name` has. @returns the digests that it has then, sorted. */
  async fetch(name: string, hosts: readonly string[]): Promise<string[]> {
    const [registry = ''] = name.split('/');
    const folder = join(this.folder, 'hosts', registry);
    await mkdir(folder, { recursive: true });
    const blocks = hosts.map((host) => `[host."${host}"]\n  capabilities = ["pull", "resolve"]`);
    await writeFile(join(folder, 'hosts.toml'), [`server = "${hosts.at(-1)}"`, ...blocks].join('\n'));
    await this.#ctr('content', 'fetch', '--hosts-dir', join(this.folder, 'hosts'), name);
    return (await this.#ctr('content', 'ls', '-q')).split('\n').toSorted();
  }

  /** Forgets an image and all contents. */
  async forget(name: string): Promise<void> {
    await this.#ctr('images', 'rm', name);
    const left = (await this.#ctr('content', 'ls', '-q')).split('\n').filter((digest) => digest !== '');
    if (left.length > 0) await this.#ctr('content', 'rm', ...left);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #ctr(...args: readonly string[]): Promise<string> {
    return run('ctr', ['--address', join(this.folder, 'c.sock'), ...args]);
  }
}
