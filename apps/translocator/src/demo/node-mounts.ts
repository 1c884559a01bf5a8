import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import type { MountAnswerBody } from '#contract';

import { RUNS_HERE } from './images/demo-images.js';
import { require, StepSkipped } from './step-runner.js';

const run = promisify(execFile);
/** Mounting or unmounting longer than this is a failure. */
const COMMAND_MAX_MS = 30_000;

/** What a node mounts of one answer, read-only and from the share's folder. Disposing unmounts all of it, whatever happened. */
export class NodeMounts implements AsyncDisposable {
  readonly #answer: MountAnswerBody;
  readonly #folder: string;
  readonly #undo = new AsyncDisposableStack();

  /** @throws {StepSkipped} where this machine or user cannot mount. */
  constructor(answer: MountAnswerBody, folder: string) {
    if (!RUNS_HERE || process.getuid?.() !== 0) throw new StepSkipped('mounting takes Linux and root');
    this.#answer = answer;
    this.#folder = folder;
  }

  /** Mounts every layer by a loop device and stacks them with overlayfs. @returns the folder of the whole tree. */
  async overlay(): Promise<string> {
    const layers: string[] = [];
    for (const [index, layer] of this.#answer.layers.entries()) {
      require(layer.kind === 'mount', `layer ${layer.digest} is no mount`);
      layers.push(await this.#mount(['-t', layer.filesystem, '-o', 'ro,loop', this.#fileOf(layer.digest)], `layer-${index}`));
    }
    // overlayfs takes the uppermost layer first.
    return this.#mount(['-t', 'overlay', '-o', `ro,lowerdir=${layers.toReversed().join(':')}`, 'overlay'], 'root');
  }

  /**
   * Mounts the merged view, with the files of its layers as its devices: one mount instead of all of those. @returns its folder.
   * @throws {StepSkipped} where the kernel knows no further devices of EROFS.
   */
  async view(): Promise<string> {
    const [major = 0, minor = 0] = release().split('.').map(Number);
    if (major < 5 || (major === 5 && minor < 16)) throw new StepSkipped('a merged view takes Linux 5.16');
    const { image } = this.#answer;
    require(image !== undefined, 'the answer has no merged view');
    // Loop devices serve every kernel that knows several devices; newer ones take the files themselves.
    const devices: string[] = [];
    for (const { digest } of image.devices) devices.push(`device=${await this.#loop(this.#fileOf(digest))}`);
    return this.#mount(['-t', image.filesystem, '-o', ['ro', ...devices].join(','), await this.#loop(this.#fileOf(image.digest))], 'view');
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#undo.disposeAsync();
  }

  #fileOf(digest: string): string {
    const { image, layers } = this.#answer;
    const mounts = image?.digest === digest ? image.mounts : layers.flatMap((layer) => (layer.kind === 'mount' && layer.digest === digest ? layer.mounts : []));
    const source = mounts.find((mount) => mount.type === 'file')?.source;
    require(source !== undefined, `${digest} has no local file among its mounts`);
    return source;
  }

  async #loop(file: string): Promise<string> {
    const device = (await run('losetup', ['--find', '--show', '--read-only', file], { timeout: COMMAND_MAX_MS })).stdout.trim();
    this.#undo.defer(async () => void (await run('losetup', ['--detach', device], { timeout: COMMAND_MAX_MS })));
    return device;
  }

  async #mount(args: readonly string[], name: string): Promise<string> {
    const target = join(this.#folder, name);
    await mkdir(target, { recursive: true });
    await run('mount', [...args, target], { timeout: COMMAND_MAX_MS });
    this.#undo.defer(async () => void (await run('umount', [target], { timeout: COMMAND_MAX_MS })));
    return target;
  }
}
