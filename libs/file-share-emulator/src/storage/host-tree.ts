import type { Stats } from 'node:fs';
import { type FileHandle, lstat, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { unlessAbsent } from './atomic-file.js';
import { refusal } from './host-refusal.js';
import { PathLocks } from './path-locks.js';

/** Where a path leads on the host. */
export interface HostPlace {
  /** The path as the host spells it, as far as it exists. */
  readonly path: string;
  /** Undefined where there is no file or folder. */
  readonly host: Stats | undefined;
}

/** Names that differ only by case are one name to Azure Files: this is what they have in common. */
export function folded(path: string): string {
  return path.toLowerCase();
}

/** The folder that `path` is in; empty for the root, undefined where that is what `path` is. */
export function parentOf(path: string): string | undefined {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? undefined : path.slice(0, slash);
}

/** An exported folder of the host, in which names are found whatever their case. Links are no part of it, whoever made them: they may lead anywhere. */
export class HostTree {
  readonly #root: string;
  readonly #writing = new PathLocks();

  constructor(root: string) {
    this.#root = root;
  }

  /** The host's own path of a path in this tree, as it is spelled. */
  at(path: string): string {
    return join(this.#root, path);
  }

  /** Opens a file for the time of `use`. @throws {AzureFilesError} where the host refuses */
  async open<T>(path: string, flags: string | number, use: (host: FileHandle) => Promise<T>): Promise<T> {
    const host = await open(this.at(path), flags, 0o644).catch((error: unknown) => { throw refusal(error); });
    try {
      return await use(host);
    } finally {
      await host.close();
    }
  }

  /**
   * Opens a file to write to it, after those who write to it already: hosts take the writes to a file one after the other in any case, and each that waits
   * for that keeps one of the few threads that all files are read and written by.
   */
  openToWrite<T>(path: string, use: (host: FileHandle) => Promise<T>): Promise<T> {
    return this.#writing.hold(path, 'exclusive', () => this.open(path, 'r+', use));
  }

  /** Finds `path`: as it is spelled, else by its letters. What exists costs one look; what does not costs reading the folder it would be in. */
  async locate(path: string): Promise<HostPlace> {
    const host = await this.#look(path);
    if (host !== undefined || path === '') return { path, host };
    const spelled = await this.#spell(path.split('/'));
    return { path: spelled, host: spelled === path ? undefined : await this.#look(spelled) };
  }

  async #look(path: string): Promise<Stats | undefined> {
    const host = await unlessAbsent(lstat(this.at(path)));
    return host !== undefined && (host.isFile() || host.isDirectory()) ? host : undefined;
  }

  async #spell(components: readonly string[]): Promise<string> {
    const parent = components.slice(0, -1);
    const last = components.at(-1) ?? '';
    const start = (await this.#look(parent.join('/'))) === undefined ? await this.#spell(parent) : parent.join('/');
    const names = (await unlessAbsent(readdir(this.at(start)))) ?? [];
    const name = names.includes(last) ? last : (names.find((candidate) => folded(candidate) === folded(last)) ?? last);
    return start === '' ? name : `${start}/${name}`;
  }
}
