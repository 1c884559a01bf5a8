import { type ImageStore, IMAGES_PAGE_MAX, type TaggedImage } from '#registry';

/** Pages that are counted of one repository, for an answer that nobody should wait for. */
const PAGES_MAX = 20;

/** What is recorded of a repository. */
export interface RepositoryFacts {
  readonly manifestCount: number;
  readonly tagCount: number;
  /** Pushes of the oldest and the newest image; undefined when none is recorded. */
  readonly oldestAt: Date | undefined;
  readonly newestAt: Date | undefined;
}

/** Counts what is recorded of a repository, up to {@link PAGES_MAX} pages of {@link IMAGES_PAGE_MAX}. */
export async function countRepository(images: Pick<ImageStore, 'list' | 'tags'>, repository: string): Promise<RepositoryFacts> {
  let [manifestCount, tagCount] = [0, 0];
  let [newest, oldest]: (TaggedImage | undefined)[] = [];
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const after = oldest === undefined ? {} : { after: { pushedAt: oldest.pushedAt, digest: oldest.digest } };
    const found = await images.list(repository, { ...after, limit: IMAGES_PAGE_MAX });
    newest ??= found[0];
    oldest = found.at(-1) ?? oldest;
    manifestCount += found.length;
    if (found.length < IMAGES_PAGE_MAX) break;
  }
  let last: string | undefined;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const found = await images.tags(repository, { ...(last === undefined ? {} : { after: last }), limit: IMAGES_PAGE_MAX });
    tagCount += found.length;
    last = found.at(-1)?.tag ?? last;
    if (found.length < IMAGES_PAGE_MAX) break;
  }
  return { manifestCount, tagCount, oldestAt: oldest?.pushedAt, newestAt: newest?.pushedAt };
}
