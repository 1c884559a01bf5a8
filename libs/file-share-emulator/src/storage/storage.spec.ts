import { mkdir, mkdtemp, open, readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { GiB } from '#quantities';

import { changeLine, DEFAULT_CONTENT, FileRecord, parseRecord } from './file-record.js';
import { PathLocks } from './path-locks.js';
import { RecordStore } from './record-store.js';
import { ShareCatalogue } from './share-catalogue.js';
import type { NewFile } from './entry.js';
import { ShareFolder } from './share-folder.js';
import { writeSparse } from './sparse-file.js';
import { etagOf, isoOf, nextTicks, ticksAt } from './ticks.js';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'emulator-storage-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function openShare(): Promise<ShareFolder> {
  const folder = new ShareFolder({ files: join(root, 'files'), records: join(root, 'records'), quotaBytes: () => GiB });
  await mkdir(join(root, 'files'), { recursive: true });
  await folder.recover();
  return folder;
}

async function content(folder: ShareFolder, path: string): Promise<string> {
  const bytes = Buffer.alloc((await folder.find(path))!.sizeBytes);
  await folder.read(path, 0, bytes);
  return bytes.toString('latin1');
}

const newFile = (sizeBytes: number, metadata: Record<string, string> = {}): NewFile => ({ sizeBytes, content: DEFAULT_CONTENT, metadata });

describe('FileRecord', () => {
  it('reads back what was written, with the changes since and without a line that was cut off', () => {
    const record = new FileRecord({ name: 'f', fileId: '7', createdAt: 5n, content: DEFAULT_CONTENT, metadata: { a: 'b' } }, 6n, [{ offset: 0, length: 512 }]);
    const lines = [
      changeLine({ kind: 'w', range: { offset: 1000, length: 100 }, changedAt: 9n }),
      changeLine({ kind: 'c', range: { offset: 0, length: 600 }, changedAt: 8n }),
      'w 4096 512 99',
    ];
    const read = parseRecord(record.toText() + lines.join(''))!;
    expect(read.header).toEqual(record.header);
    expect(read.changedAt).toBe(9n);
    expect(read.written.toArray()).toEqual([{ offset: 512, length: 1024 }]);
  });

  it('is nothing when its snapshot is unreadable', () => {
    const texts = ['', '{}', '{"version":1', 'x\n', 'null\n', '{"version":1}\n', '{"version":2,"ranges":[]}\n'];
    expect(texts.filter((text) => parseRecord(text) !== undefined)).toEqual([]);
  });
});

describe('ticks', () => {
  it('never repeat and are written as the real service writes them', () => {
    const all = Array.from({ length: 1000 }, nextTicks);
    expect(new Set(all).size).toBe(1000);
    const at = ticksAt(Date.parse('2026-01-13T19:07:18.000Z'));
    expect(isoOf(at)).toBe('2026-01-13T19:07:18.0000000Z');
    expect(etagOf(at)).toMatch(/^"0x8DE5[0-9A-F]{11}"$/);
  });
});

describe('PathLocks', () => {
  it('let readers in together, writers alone, and nobody past a waiting writer', async () => {
    const locks = new PathLocks();
    const events: string[] = [];
    const gates = new Map<string, () => void>();
    const enter = (name: string, mode: 'shared' | 'exclusive'): Promise<void> => locks.hold('p', mode, async () => {
      events.push(name);
      await new Promise<void>((resolve) => gates.set(name, resolve));
    });
    const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });
    const all = [enter('r1', 'shared'), enter('r2', 'shared'), enter('w', 'exclusive'), enter('r3', 'shared')];
    await turn();
    expect(events).toEqual(['r1', 'r2']);
    gates.get('r1')!();
    await turn();
    expect(events).toEqual(['r1', 'r2']);
    gates.get('r2')!();
    await turn();
    expect(events).toEqual(['r1', 'r2', 'w']);
    gates.get('w')!();
    await turn();
    gates.get('r3')!();
    await Promise.all(all);
    expect(events).toEqual(['r1', 'r2', 'w', 'r3']);
  });
});

describe('writeSparse', () => {
  it('writes zeros only where the file may hold something else', async () => {
    const host = await open(join(root, 'f'), 'w+');
    await host.truncate(65_536);
    await host.write(Buffer.alloc(4096, 9), 0, 4096, 8192);
    await writeSparse(host, { offset: 100, bytes: Buffer.alloc(20_000), written: [{ offset: 8192, length: 4096 }] });
    const bytes = await host.readv([Buffer.alloc(65_536)], 0);
    await host.close();
    expect(Buffer.from(bytes.buffers[0]!.buffer).equals(Buffer.alloc(65_536))).toBe(true);
    expect((await stat(join(root, 'f'))).blocks * 512).toBeLessThanOrEqual(8192);
  });
});

describe('a share folder that is opened again', () => {
  it('has every file with its bytes, ranges, metadata, identity and ETag', async () => {
    const before = await openShare();
    await before.createFolder('d', { metadata: { of: 'folder' } });
    await before.createFile('d/f', newFile(5000, { complete: '1' }));
    await before.write('d/f', { offset: 1000, bytes: Buffer.from('hello') });
    await before.clear('d/f', { offset: 1002, length: 2 });
    const old = (await before.find('d/f'))!;
    const after = await openShare();
    const found = (await after.find('d/f'))!;
    expect(found.record.header).toEqual(old.record.header);
    expect(found.record.changedAt).toBe(old.record.changedAt);
    expect(found.record.written.toArray()).toEqual([{ offset: 512, length: 512 }]);
    expect(await content(after, 'd/f')).toContain('he\0\0o');
    expect((await after.find('d'))?.record.header.metadata).toEqual({ of: 'folder' });
    expect(after.usedBytes).toBe(5000);
  });

  it('finishes a rename that had moved the file but not its record', async () => {
    const before = await openShare();
    await before.createFile('from', newFile(10, { of: 'from' }));
    await before.createFile('to', newFile(20, { of: 'to' }));
    const intention = join(root, 'records', 'renames', 'x');
    await writeFile(intention, JSON.stringify({ from: 'from', to: 'to' }));
    await rename(join(root, 'files', 'from'), join(root, 'files', 'to'));
    const after = await openShare();
    expect(await after.find('to')).toMatchObject({ sizeBytes: 10, record: { header: { name: 'to', metadata: { of: 'from' } } } });
    expect(await after.find('from')).toBeUndefined();
    expect(await readdir(join(root, 'records', 'renames'))).toEqual([]);
  });

  it('finishes a rename of a folder that had moved the folder but not the records within', async () => {
    const before = await openShare();
    await before.createFolder('from', { metadata: { of: 'folder' } });
    await before.createFile('from/file', newFile(10, { of: 'file' }));
    await writeFile(join(root, 'records', 'renames', 'x'), JSON.stringify({ from: 'from', to: 'to' }));
    await rename(join(root, 'files', 'from'), join(root, 'files', 'to'));
    const after = await openShare();
    expect(await after.find('to')).toMatchObject({ kind: 'folder', record: { header: { name: 'to', metadata: { of: 'folder' } } } });
    expect(await after.find('to/file')).toMatchObject({ record: { header: { metadata: { of: 'file' } } } });
    expect(await after.find('from')).toBeUndefined();
  });

  it('finishes replacing a file whose record had taken the place of the old one', async () => {
    const before = await openShare();
    await before.createFile('file', newFile(10, { of: 'old' }));
    await before.write('file', { offset: 0, bytes: Buffer.from('old bytes!') });
    const { record } = (await before.find('file'))!;
    const replacing = new FileRecord({ ...record.header, metadata: { of: 'new' }, unfinishedBytes: 4 }, nextTicks());
    await new RecordStore(join(root, 'records', 'tree')).save('file', replacing);
    const after = await openShare();
    expect(await after.find('file')).toMatchObject({ sizeBytes: 4, record: { header: { metadata: { of: 'new' } } } });
    expect(await content(after, 'file')).toBe('\0\0\0\0');
    expect((await after.find('file'))!.record.header.unfinishedBytes).toBeUndefined();
  });

  it('gives a new file the size it was to have', async () => {
    const before = await openShare();
    await before.createFile('file', newFile(1000, { of: 'new' }));
    const { record } = (await before.find('file'))!;
    await new RecordStore(join(root, 'records', 'tree')).save('file', new FileRecord({ ...record.header, unfinishedBytes: 1000 }, nextTicks()));
    await writeFile(join(root, 'files', 'file'), '');
    expect(await (await openShare()).find('file')).toMatchObject({ sizeBytes: 1000, record: { header: { metadata: { of: 'new' } } } });
  });

  it('ends a copy that nobody goes on with', async () => {
    const before = await openShare();
    await before.createFile('copied', newFile(10));
    await before.change('copied', { copy: { id: 'x', source: 'http://there/file', status: 'pending', doneBytes: 0, totalBytes: 10 } });
    const after = await openShare();
    expect((await after.find('copied'))!.record.header.copy).toMatchObject({ status: 'failed', description: expect.stringContaining('restarted') });
    await after.removeFile('copied');
  });

  it('has leases, attributes, times and what changed since snapshots', async () => {
    let epoch = '';
    const options = { files: join(root, 'files'), records: join(root, 'records'), quotaBytes: () => GiB, epoch: () => epoch };
    await mkdir(join(root, 'files'), { recursive: true });
    const before = new ShareFolder(options);
    await before.recover();
    await before.createFile('file', { ...newFile(4096), smb: { attributes: 'Hidden', writtenAt: 5n, statusChangedAt: 6n, permissionKey: '1*2' } });
    epoch = '2026-01-01T00:00:00.0000000Z';
    await before.write('file', { offset: 600, bytes: Buffer.from('x'), keepsWriteTime: true });
    await before.clear('file', { offset: 2048, length: 1024, keepsWriteTime: true });
    await before.lease('file', () => ({ lease: { id: 'a', seconds: -1 }, status: 201 }));
    const after = new ShareFolder(options);
    await after.recover();
    const { record } = (await after.find('file'))!;
    expect(record.header).toMatchObject({ attributes: 'Hidden', permissionKey: '1*2', statusChangedAt: 6n, lease: { id: 'a', seconds: -1 } });
    expect(record.writtenAt).toBe(5n);
    expect(record.touched.get(epoch)!.toArray()).toEqual([{ offset: 512, length: 512 }, { offset: 2048, length: 1024 }]);
    await expect(after.write('file', { offset: 0, bytes: Buffer.from('x') })).rejects.toMatchObject({ code: 'LeaseIdMissing' });
  });

  it('forgets a rename that had moved nothing', async () => {
    const before = await openShare();
    await before.createFile('from', newFile(10, { of: 'from' }));
    await before.createFile('to', newFile(20, { of: 'to' }));
    await writeFile(join(root, 'records', 'renames', 'x'), JSON.stringify({ from: 'from', to: 'to' }));
    const after = await openShare();
    expect(await after.find('from')).toMatchObject({ record: { header: { metadata: { of: 'from' } } } });
    expect(await after.find('to')).toMatchObject({ record: { header: { metadata: { of: 'to' } } } });
  });

  it('sweeps temporary files and records without a file, and serves files that another program put there', async () => {
    const before = await openShare();
    await before.createFile('gone', newFile(10, { stale: 'yes' }));
    await rm(join(root, 'files', 'gone'));
    await writeFile(join(root, 'records', 'tree', 'x.record.tmp'), 'half');
    await writeFile(join(root, 'files', 'foreign'), 'by samba');
    const after = await openShare();
    await writeFile(join(root, 'files', 'gone'), 'anew');
    expect((await after.find('gone'))?.record.header.metadata).toEqual({});
    expect(await content(after, 'foreign')).toBe('by samba');
    expect((await after.find('foreign'))?.record.written.within({ offset: 0, length: 8 })).toEqual([{ offset: 0, length: 8 }]);
    await after.write('foreign', { offset: 3, bytes: Buffer.from('SMB') });
    expect(await content(await openShare(), 'foreign')).toBe('by SMBba');
    expect(await readdir(join(root, 'records', 'tree'))).toHaveLength(1);
  });

  it('does not follow links that another program put there', async () => {
    await writeFile(join(root, 'outside'), 'secret');
    const folder = await openShare();
    await symlink(join(root, 'outside'), join(root, 'files', 'link'));
    expect(await folder.find('link')).toBeUndefined();
    await expect(folder.read('link', 0, Buffer.alloc(1))).rejects.toMatchObject({ code: 'ResourceNotFound' });
  });

  it('keeps every acknowledged range through more changes than one snapshot holds', async () => {
    const before = await openShare();
    await before.createFile('many', newFile(5000 * 1024));
    const writes = Array.from({ length: 5000 }, (_, index) => before.write('many', { offset: index * 1024, bytes: Buffer.from([index & 255 || 1]) }));
    await Promise.all(writes);
    const found = (await (await openShare()).find('many'))!;
    expect(found.record.written.size).toBe(5000);
  });
});

describe('a catalogue', () => {
  it('finishes deleting a share whose folder had already gone', async () => {
    const before = await ShareCatalogue.open(root, 'acct1');
    await before.create('layers', { quotaGiB: 1, metadata: {} });
    await before.create('kept', { quotaGiB: 2, metadata: { a: 'b' } });
    await rm(join(root, 'acct1', 'layers'), { recursive: true });
    const after = await ShareCatalogue.open(root, 'acct1');
    expect(after.list().map(({ name, record: { quotaGiB, metadata } }) => ({ name, quotaGiB, metadata }))).toEqual([{ name: 'kept', quotaGiB: 2, metadata: { a: 'b' } }]);
    await after.create('layers', { quotaGiB: 1, metadata: {} });
    expect(after.get('layers').folder.usedBytes).toBe(0);
  });
});
