import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { aKeptToken } from '#access/testing';

import { TokenSnapshotFile } from './token-snapshot-file.js';

const AT = new Date('2026-01-01T00:00:00.000Z');
let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'translocator-'));
  path = join(folder, 'lookup/tokens.snapshot');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it('gives back what was saved, to its own deployment only, and lets only its owner read it', async () => {
  const { token, secretHash, authorization } = aKeptToken({ repositories: ['team/*'], regions: ['eastus'] });
  const plain = aKeptToken();
  await new TokenSnapshotFile(path, 'here').save({ tokens: [{ token, secretHash }, { token: plain.token, secretHash: plain.secretHash }], at: AT });
  expect(await new TokenSnapshotFile(path, 'here').load()).toEqual({ tokens: [{ token, secretHash }, { token: plain.token, secretHash: plain.secretHash }], at: AT });
  expect(await new TokenSnapshotFile(path, 'there').load()).toBeUndefined();
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await readFile(path, 'utf8')).not.toContain(authorization.slice(-20));
});

it('gives nothing where there is none, or one that was cut or changed', async () => {
  const file = new TokenSnapshotFile(path, 'here');
  expect(await file.load()).toBeUndefined();
  await file.save({ tokens: [aKeptToken()], at: AT });
  const text = await readFile(path, 'utf8');
  for (const other of ['', '{}', text.slice(0, -1), text.replace('"lookup"', '"root"'), text.replace(/[0-9a-f]{64}/, 'x'), text.replace('"version":1', '"version":2')]) {
    await writeFile(path, other);
    expect(await file.load()).toBeUndefined();
  }
});
