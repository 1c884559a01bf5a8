import { describe, expect, it } from 'vitest';

import { digestOf, OCI_MANIFEST } from '#oci';
import { type ImageStore, IMAGES_PAGE_MAX, type RegistryEvent } from '#registry';
import { MemoryCatalogue, MemoryImageStore } from '#registry/testing';
import { createLogger } from '#telemetry';

import { NOTICE_MAX_MS } from './noticed-changes.js';
import { type AnsweredRemoval, RemovedRepositories } from './removed-repositories.js';

const REPOSITORY = 'team/app';
const answered = (status: number): AnsweredRemoval => ({ status, at: new Date('2026-01-01T00:00:00Z'), from: { address: '127.0.0.1' } });

/** What is recorded: as many images as asked for, the first ones with a tag each. */
function recorded(imageCount: number, tagCount: number): { removals: RemovedRepositories; noticed: RegistryEvent[]; log: string[]; catalogue: MemoryCatalogue } {
  const catalogue = new MemoryCatalogue();
  for (let n = 0; n < imageCount; n += 1) {
    const digest = digestOf(`image ${n}`);
    catalogue.images.set(`${REPOSITORY}\u0000${digest}`, { kind: 'index', repository: REPOSITORY, digest, mediaType: OCI_MANIFEST, sizeBytes: 1, layers: [], children: [], pushedAt: new Date(n) });
    if (n < tagCount) catalogue.tagsOf(REPOSITORY).set(`v${n}`, digest);
  }
  const { removals, noticed, log } = removalsOf(new MemoryImageStore(catalogue));
  return { removals, noticed, log, catalogue };
}

function removalsOf(images: Pick<ImageStore, 'list' | 'tags'>): { removals: RemovedRepositories; noticed: RegistryEvent[]; log: string[] } {
  const [noticed, log]: [RegistryEvent[], string[]] = [[], []];
  const changes = { notice: async (events: readonly RegistryEvent[]) => void noticed.push(...events) };
  return { noticed, log, removals: new RemovedRepositories({ images, changes, logger: createLogger('info', { write: (line: string) => void log.push(line) }) }) };
}

describe('a deletion by the data plane', () => {
  it('of a tag or a manifest has that examined', async () => {
    const { removals, noticed } = recorded(2, 2);
    await removals.notice({ repository: REPOSITORY, reference: { kind: 'tag', tag: 'v1' } }, answered(202));
    await removals.notice({ repository: REPOSITORY, reference: { kind: 'digest', digest: digestOf('image 0') } }, answered(202));
    expect(noticed).toMatchObject([{ action: 'delete', repository: REPOSITORY, tag: 'v1' }, { action: 'delete', repository: REPOSITORY, digest: digestOf('image 0') }]);
    expect(noticed[1]).not.toHaveProperty('tag');
  });

  it('of a repository has every tag and every manifest examined that is recorded of it, page after page', async () => {
    const { removals, noticed, catalogue } = recorded(IMAGES_PAGE_MAX + 2, IMAGES_PAGE_MAX + 1);
    catalogue.tagsOf('team/other').set('v1', digestOf('image 0'));
    await removals.notice({ repository: REPOSITORY }, answered(202));
    expect(noticed.length).toBe(IMAGES_PAGE_MAX * 2 + 3);
    expect(new Set(noticed.map(({ tag, digest }) => tag ?? digest)).size).toBe(noticed.length);
    expect(noticed.every(({ repository, action }) => repository === REPOSITORY && action === 'delete')).toBe(true);
  });

  it('that the registry refused has nothing examined', async () => {
    const { removals, noticed } = recorded(2, 2);
    for (const status of [401, 403, 404, 500]) {
      await removals.notice({ repository: REPOSITORY }, answered(status));
      await removals.notice({ repository: REPOSITORY, reference: { kind: 'tag', tag: 'v1' } }, answered(status));
    }
    expect(noticed).toEqual([]);
  });

  it('fails for no error of the database, and waits for a silent one no longer than a moment', async () => {
    const away = removalsOf({ tags: () => Promise.reject(new Error('the database is away')), list: () => Promise.resolve([]) });
    await away.removals.notice({ repository: REPOSITORY }, answered(202));
    expect(away.log.join('\n')).toContain('the database is away');
    const silent = removalsOf({ tags: () => new Promise(() => undefined), list: () => Promise.resolve([]) });
    const startedAt = performance.now();
    await silent.removals.notice({ repository: REPOSITORY }, answered(202));
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(NOTICE_MAX_MS - 50);
  });
});
