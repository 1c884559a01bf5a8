import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { type ByteRange, ByteRangeSet, type CopySource, type Crc64, type MountSource, type RenameOptions, Share, ShareError, type ShareFile } from '#shares';

interface OpenFile {
  readonly handle: FileHandle;
  readonly written: ByteRangeSet;
  sizeBytes: number;
  metadata: Readonly<Record<string, string>>;
}

/**
 * A share that is a folder on this machine, as plain as can be: what an expansion costs on top of it is the expansion's own. It knows the files that
 * this process made, does not flush the disk (no more than tar does), and is nothing to copy from or to mount.
 */
export class FolderShare extends Share {
  readonly name = 'folder';
  readonly region = 'local';
  readonly capacityBytes = Number.MAX_SAFE_INTEGER;
  readonly #folder: string;
  readonly #files = new Map<string, OpenFile>();

  constructor(folder: string) {
    super();
    this.#folder = folder;
  }

  async ensureExists(): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
  }

  async usage(): Promise<undefined> {
    return undefined;
  }

  async renewGrants(): Promise<void> {}

  async createFile(path: string, sizeBytes: number): Promise<void> {
    await mkdir(dirname(join(this.#folder, path)), { recursive: true });
    await this.#files.get(path)?.handle.close();
    const handle = await open(join(this.#folder, path), 'w+');
    await handle.truncate(sizeBytes);
    this.#files.set(path, { handle, sizeBytes, written: new ByteRangeSet(), metadata: {} });
  }

  async resizeFile(path: string, sizeBytes: number): Promise<void> {
    const file = this.#file(path);
    await file.handle.truncate(sizeBytes);
    file.sizeBytes = sizeBytes;
  }

  async writeRange(path: string, offset: number, bytes: Uint8Array): Promise<void> {
    const { handle, written } = this.#file(path);
    await handle.write(bytes, 0, bytes.length, offset);
    written.add({ offset, length: bytes.length });
  }

  async readRange(path: string, { offset, length }: ByteRange): Promise<Buffer> {
    const { handle } = this.#file(path);
    const bytes = Buffer.allocUnsafeSlow(length);
    for (let at = 0; at < length; ) {
      const { bytesRead } = await handle.read(bytes, at, length - at, offset + at);
      if (bytesRead === 0) throw this.#error('RANGE_INVALID', path, 'ends before the range does');
      at += bytesRead;
    }
    return bytes;
  }

  async stat(path: string): Promise<ShareFile | undefined> {
    const file = this.#files.get(path);
    return file === undefined ? undefined : { path, sizeBytes: file.sizeBytes, etag: '', modifiedAt: new Date(0), toldAt: new Date(0), metadata: file.metadata };
  }

  async dataRanges(path: string): Promise<ByteRange[]> {
    return this.#file(path).written.toArray();
  }

  async setMetadata(path: string, metadata: Readonly<Record<string, string>>): Promise<void> {
    this.#file(path).metadata = metadata;
  }

  async ensureFolders(path: string): Promise<void> {
    await mkdir(dirname(join(this.#folder, path)), { recursive: true });
  }

  async rename(from: string, to: string, { metadata }: RenameOptions = {}): Promise<void> {
    const file = this.#file(from);
    if (metadata !== undefined) file.metadata = metadata;
    await this.ensureFolders(to);
    await rename(join(this.#folder, from), join(this.#folder, to));
    this.#files.delete(from);
    this.#files.set(to, file);
  }

  async remove(path: string): Promise<boolean> {
    const file = this.#files.get(path);
    await file?.handle.close();
    this.#files.delete(path);
    await rm(join(this.#folder, path), { force: true });
    return file !== undefined;
  }

  /** Removes all files that this process made. */
  async empty(): Promise<void> {
    for (const path of this.#files.keys()) await this.remove(path);
  }

  async openHandles(): Promise<undefined> {
    return undefined;
  }

  closeHandles(path: string): Promise<number> {
    return Promise.reject(this.#error('SHARE_DENIED', path, 'a folder does not know who has its files open'));
  }

  async *list(): AsyncIterable<{ readonly name: string; readonly sizeBytes: number }> {}

  copyRange(path: string): Promise<Crc64> {
    return Promise.reject(this.#error('COPY_SOURCE_FAILED', path, 'a folder fetches nothing'));
  }

  grantCopySource(path: string): Promise<CopySource> {
    return Promise.reject(this.#error('SHARE_DENIED', path, 'a folder grants nothing'));
  }

  mountSources(): MountSource[] {
    return [];
  }

  #file(path: string): OpenFile {
    const file = this.#files.get(path);
    if (file === undefined) throw this.#error('FILE_NOT_FOUND', path, 'there is no such file');
    return file;
  }

  #error(code: 'RANGE_INVALID' | 'FILE_NOT_FOUND' | 'COPY_SOURCE_FAILED' | 'SHARE_DENIED', path: string, why: string): ShareError {
    return new ShareError(code, `${path}: ${why}`, { details: { path } });
  }
}
