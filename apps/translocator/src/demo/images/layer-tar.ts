import { createReadStream } from 'node:fs';
import { lstat, readdir, readlink, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

import tar, { type Pack } from 'tar-stream';

/** Every file of the demo's images bears this time, so that the same inputs give the same layers. */
const MODIFIED_AT = new Date('2026-01-02T03:04:05Z');

/** One layer's tar while it is being filled; entries stand in the order in which they are added. */
export class LayerTar {
  readonly pack: Pack = tar.pack();

  /** A folder; `mode` as in chmod. */
  folder(name: string, mode = 0o755): Promise<void> {
    return this.#entry({ name: `${name}/`, type: 'directory', mode });
  }

  /** A regular file of text. */
  text(name: string, content: string, mode = 0o644): Promise<void> {
    return this.#entry({ name, type: 'file', mode }, content);
  }

  /** A symbolic link. */
  link(name: string, target: string): Promise<void> {
    return this.#entry({ name, type: 'symlink', linkname: target, mode: 0o777 });
  }

  /** A second name of a file of this layer. */
  hardLink(name: string, target: string): Promise<void> {
    return this.#entry({ name, type: 'link', linkname: target, mode: 0o755 });
  }

  /** A character device, such as 1:3 for /dev/null. */
  device(name: string, major: number, minor: number): Promise<void> {
    return this.#entry({ name, type: 'character-device', devmajor: major, devminor: minor, mode: 0o666 });
  }

  /** Hides `name` of the layers below (OCI image-spec, layer.md, "Whiteouts"). */
  whiteout(name: string): Promise<void> {
    const slash = name.lastIndexOf('/') + 1;
    return this.text(`${name.slice(0, slash)}.wh.${name.slice(slash)}`, '');
  }

  /** A file of this machine, streamed; links are followed. */
  async file(name: string, path: string, mode: number): Promise<void> {
    const source = await realpath(path);
    const { size } = await lstat(source);
    const sink = this.pack.entry({ name, type: 'file', size, mode, mtime: MODIFIED_AT, uid: 0, gid: 0 });
    await pipeline(createReadStream(source), sink);
  }

  /** A folder of this machine with everything in it, names in order. */
  async tree(name: string, path: string): Promise<void> {
    await this.folder(name);
    for (const entry of (await readdir(path, { withFileTypes: true })).toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const inside = `${name}/${entry.name}`;
      const source = join(path, entry.name);
      if (entry.isDirectory()) await this.tree(inside, source);
      else if (entry.isSymbolicLink()) await this.link(inside, await readlink(source));
      else if (entry.isFile()) await this.file(inside, source, 0o644);
    }
  }

  #entry(header: Parameters<Pack['entry']>[0], content?: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (error?: Error | null): void => (error ? reject(error) : resolve());
      const full = { mtime: MODIFIED_AT, uid: 0, gid: 0, ...header };
      if (content === undefined) this.pack.entry(full, done);
      else this.pack.entry(full, content, done);
    });
  }
}
