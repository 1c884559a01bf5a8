import type { Claimed } from '#claims';
import { chooseChildren, isImageConfigType, OciError, parseImageConfig, parseManifest, type PlatformPolicy } from '#oci';

import { readConfig } from './examine-reference.js';
import { type ImageCursor, type ImageStore, IMAGES_PAGE_MAX } from './image-store.js';
import { isUnknown, RegistryError } from './registry-error.js';
import type { RegistryReader } from './registry-reader.js';
import type { Backfill, BackfillStore } from './repository-store.js';

/** What {@link backfillRepository} works with. */
export interface BackfillTools {
  readonly client: RegistryReader;
  readonly backfills: BackfillStore;
  readonly images: ImageStore;
  readonly platforms: PlatformPolicy;
  readonly now: () => Date;
}

/** Tags whose age is looked up at the same time: the registry is also serving pulls. */
export const BACKFILL_PARALLEL_MAX = 4;
/** Tags whose age is looked up at all. Each costs two or three requests; beyond it the order is not worth them, and the rest follows by name. */
export const BACKFILL_DATED_MAX = 5000;
/** Recorded images that are looked at again because no tag names them; the rest waits for events. */
export const BACKFILL_UNTAGGED_MAX = 10_000;
/** The progress is written after so many tags. */
const PROGRESS_STEP = 25;

/**
 * Wants an examination for every tag that a repository has, the most recently built image first, and for everything that is recorded of it: what
 * vanished while it was not served is then found out. Nothing is wanted before everything is known, so that after a crash it begins anew without
 * having done anything twice. @returns false when the claim was lost and nothing was wanted.
 */
export async function backfillRepository(tools: BackfillTools, { item, claim }: Claimed<Backfill>, signal?: AbortSignal): Promise<boolean> {
  const tags = await listTags(tools.client, item.repository, signal);
  const createdAt = await datesOf(tools, { repository: item.repository, tags, claimId: claim.id }, signal);
  const age = (tag: string): number => createdAt.get(tag)?.getTime() ?? Number.NEGATIVE_INFINITY;
  // Sorting is stable: tags of the same age, and those without any, stay in the registry's order.
  const newestFirst = tags.toSorted((a, b) => (age(a) === age(b) ? 0 : age(b) - age(a)));
  const references = new Set([...newestFirst, ...(await recordedReferences(tools.images, item.repository))]);
  signal?.throwIfAborted();
  return tools.backfills.wantExaminations(claim.id, [...references], tools.now());
}

/** A repository that does not exist yet has no tags. */
async function listTags(client: RegistryReader, repository: string, signal: AbortSignal | undefined): Promise<string[]> {
  const tags: string[] = [];
  try {
    for await (const tag of client.tags(repository, signal)) tags.push(tag);
  } catch (error) {
    if (!isUnknown(error)) throw error;
  }
  return tags;
}

async function recordedReferences(images: ImageStore, repository: string): Promise<string[]> {
  const references: string[] = [];
  for (let after: string | undefined = ''; after !== undefined; ) {
    const page = await images.tags(repository, { after, limit: IMAGES_PAGE_MAX });
    references.push(...page.map(({ tag }) => tag));
    after = page.length < IMAGES_PAGE_MAX ? undefined : page.at(-1)?.tag;
  }
  const children = new Set<string>();
  const untagged: string[] = [];
  for (let after: ImageCursor | undefined, more = true; more && untagged.length < BACKFILL_UNTAGGED_MAX; ) {
    const page = await images.list(repository, { ...(after === undefined ? {} : { after }), limit: IMAGES_PAGE_MAX });
    for (const image of page) {
      for (const child of image.children) children.add(child.digest);
      if (image.tags.length === 0) untagged.push(image.digest);
    }
    after = page.at(-1);
    more = page.length === IMAGES_PAGE_MAX;
  }
  return [...references, ...untagged.filter((digest) => !children.has(digest))];
}

interface Dating {
  readonly repository: string;
  readonly tags: readonly string[];
  readonly claimId: string;
}

async function datesOf(tools: BackfillTools, { repository, tags, claimId }: Dating, signal: AbortSignal | undefined): Promise<Map<string, Date>> {
  const dates = new Map<string, Date>();
  const waiting = tags.slice(0, BACKFILL_DATED_MAX).values();
  let doneCount = 0;
  // The first failure ends the others too: nobody would hear of what they find.
  const failed = new AbortController();
  const either = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
  const work = async (): Promise<void> => {
    for (const tag of waiting) {
      const createdAt = await creationOf(tools, { repository, tag }, either);
      if (createdAt !== undefined) dates.set(tag, createdAt);
      doneCount += 1;
      if (doneCount % PROGRESS_STEP === 1) await tools.backfills.progress(claimId, { totalCount: tags.length, doneCount });
    }
  };
  try {
    await Promise.all(Array.from({ length: BACKFILL_PARALLEL_MAX }, work));
  } catch (error) {
    failed.abort(error);
    throw error;
  }
  return dates;
}

/** When a tag's image was built; for an index, the first wanted image's time. Undefined when it is not said, unreadable or gone: its examination will tell. */
async function creationOf(
  tools: BackfillTools,
  { repository, tag }: { readonly repository: string; readonly tag: string },
  signal: AbortSignal | undefined,
): Promise<Date | undefined> {
  const { client, platforms } = tools;
  try {
    const fetched = await client.manifest(repository, { kind: 'tag', tag }, signal);
    let manifest = parseManifest(fetched.bytes, fetched.mediaType);
    if (manifest.kind === 'index') {
      const [child] = chooseChildren(manifest, platforms);
      if (child === undefined) return undefined;
      const image = await client.manifest(repository, { kind: 'digest', digest: child.digest }, signal);
      manifest = parseManifest(image.bytes, image.mediaType);
    }
    if (manifest.kind === 'index' || !isImageConfigType(manifest.config.mediaType)) return undefined;
    return parseImageConfig(await readConfig(client, { repository, config: manifest.config }, signal), manifest.layers.length).createdAt;
  } catch (error) {
    if (error instanceof OciError || isUnknown(error) || (error instanceof RegistryError && error.code === 'RESPONSE_TOO_LARGE')) return undefined;
    throw error;
  }
}
