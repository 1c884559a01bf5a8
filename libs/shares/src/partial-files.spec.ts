import { beforeEach, describe, expect, it } from 'vitest';

import { digestOf } from '#oci';

import { LAYER_FILE_VERSION, layerFileMetadata, layerFilePath, layerFilePaths, PARTIAL_FOLDER, partialFilePath } from './layer-file.js';
import { copyPartialPath, expansionPartialPath, isCopyPartialPath, removePartialFiles } from './partial-files.js';
import { MemoryShare } from './testing/index.js';

const layer = digestOf('layer');
const version = { layer, vhd: digestOf('version 1') };
const { signal } = new AbortController();

describe('whole files', () => {
  it('stand under a name of their own for each version, the first one as it always was', () => {
    const hex = layer.slice('sha256:'.length);
    expect(layerFilePath(layer, 1)).toBe(`sha256/${hex.slice(0, 2)}/${hex}.vhd`);
    expect(layerFilePath(layer, 2)).toBe(`sha256/${hex.slice(0, 2)}/${hex}.v2.vhd`);
    expect(layerFilePaths(layer)).toEqual([layerFilePath(layer, LAYER_FILE_VERSION), layerFilePath(layer, 1)]);
  });
});

describe('partial files', () => {
  it('are told apart by layer, by version and by claim', () => {
    const path = copyPartialPath(version, 'claim');
    expect(isCopyPartialPath(version, path)).toBe(true);
    expect(isCopyPartialPath({ ...version, vhd: digestOf('version 2') }, path)).toBe(false);
    expect(isCopyPartialPath({ ...version, layer: digestOf('other') }, path)).toBe(false);
    expect(isCopyPartialPath(version, expansionPartialPath(layer, 'claim'))).toBe(false);
    expect(isCopyPartialPath(version, path.slice(PARTIAL_FOLDER.length + 1))).toBe(false);
    expect(copyPartialPath(version, 'other')).not.toBe(path);
  });

  describe('that were left', () => {
    let share: MemoryShare;
    const [copies, expansions] = [[copyPartialPath(version, 'a'), copyPartialPath({ ...version, vhd: digestOf('version 2') }, 'b')], [expansionPartialPath(layer, 'c')]];
    const others = [copyPartialPath({ ...version, layer: digestOf('other') }, 'a'), '.partial/notes.txt', 'sha256/file.vhd'];
    beforeEach(async () => {
      share = new MemoryShare({ name: 'home' });
      for (const path of [...copies, ...expansions, ...others]) await share.createFile(path, 512);
    });
    const left = (): string[] => share.paths.filter((path) => !others.includes(path));

    it.each([
      ['all of the layer', {}, []],
      ['those of copies but one', { of: 'copy', kept: copies[1]! }, [copies[1]!, ...expansions]],
      ['those of expansions', { of: 'expansion' }, copies],
    ] as const)('go: %s', async (_title, options, staying) => {
      await removePartialFiles(share, layer, { ...options, signal });
      expect(left()).toEqual([...staying].toSorted());
      expect(share.paths).toEqual(expect.arrayContaining(others));
    });

    it('stay when the claim was lost, and the claim is not asked for when nothing is left', async () => {
      const ensureHeld = (): Promise<void> => Promise.reject(new Error('lost'));
      await expect(removePartialFiles(share, layer, { ensureHeld, signal })).rejects.toThrow('lost');
      expect(left()).toHaveLength(3);
      await removePartialFiles(share, digestOf('unknown'), { ensureHeld, signal });
    });

    it('of names of another form stay', async () => {
      await share.createFile(partialFilePath(layer, 'x').replace('.x.', '..'), 1);
      await removePartialFiles(share, layer, { signal });
      expect(left()).toHaveLength(1);
    });
  });

  it('carry the same words whoever made them', () => {
    expect(layerFileMetadata({ digest: layer, diffId: digestOf('tar'), writerVersion: 3, vhd: { digest: version.vhd } })).toEqual({
      layer_digest: layer, diff_id: digestOf('tar'), vhd_digest: version.vhd, writer_version: '3',
    });
  });
});
