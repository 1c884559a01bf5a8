import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

import type { Reference } from '#oci';
import { eventsOfExchange, type ImageCursor, type ImageStore, IMAGES_PAGE_MAX, type RegistryEvent, type Removable } from '#registry';
import type { Logger } from '#telemetry';

import { NOTICE_MAX_MS, type NoticedChanges } from './noticed-changes.js';

/** Pages of tags, and of manifests, that the end of one repository has examined; what there is beyond is found when the repository is examined anew. */
const PAGES_MAX = 20;

/** The answer to a deletion, and who asked for it. */
export interface AnsweredRemoval {
  readonly status: number;
  readonly at: Date;
  readonly from: NonNullable<RegistryEvent['from']>;
}

/** What noticing removals takes. */
export interface RemovalTools {
  readonly images: Pick<ImageStore, 'list' | 'tags'>;
  readonly changes: Pick<NoticedChanges, 'notice'>;
  readonly logger: Logger;
}

/**
 * Notices deletions by the data plane of Azure Container Registry as those below `/v2/` are: what went is examined. Of a repository that is everything that is recorded of it, so that a registry that
 * did not mean it, or takes its time, changes nothing.
 */
export class RemovedRepositories {
  readonly #tools: RemovalTools;

  constructor(tools: RemovalTools) {
    this.#tools = tools;
  }

  /** Returns when what went is to be examined, and after {@link NOTICE_MAX_MS} in any case. Nothing for a deletion that the registry refused. Never throws. */
  async notice({ repository, reference }: Removable, answer: AnsweredRemoval): Promise<void> {
    const { changes, logger } = this.#tools;
    const gone = (of: Reference): RegistryEvent[] =>
      eventsOfExchange({ method: 'DELETE', status: answer.status, repository, reference: of, digest: undefined, mediaType: undefined, tags: [] }, { at: answer.at, newId: randomUUID, from: answer.from });
    if (reference !== undefined) return changes.notice(gone(reference));
    if (answer.status < 200 || answer.status > 299) return;
    const noticing = this.#noticeAll(repository, gone).catch((error: unknown) => logger.warn({ error, repository }, 'what a deleted repository had will be found when it is examined anew'));
    const timer = new AbortController();
    await Promise.race([noticing, delay(NOTICE_MAX_MS, undefined, { signal: timer.signal }).catch(() => undefined)]);
    timer.abort();
  }

  async #noticeAll(repository: string, gone: (of: Reference) => RegistryEvent[]): Promise<void> {
    const { images, changes } = this.#tools;
    let last: string | undefined;
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const tags = await images.tags(repository, { ...(last === undefined ? {} : { after: last }), limit: IMAGES_PAGE_MAX });
      await changes.notice(tags.flatMap(({ tag }) => gone({ kind: 'tag', tag })));
      last = tags.at(-1)?.tag;
      if (tags.length < IMAGES_PAGE_MAX) break;
    }
    let after: ImageCursor | undefined;
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const manifests = await images.list(repository, { ...(after === undefined ? {} : { after }), limit: IMAGES_PAGE_MAX });
      await changes.notice(manifests.flatMap(({ digest }) => gone({ kind: 'digest', digest })));
      after = manifests.at(-1);
      if (manifests.length < IMAGES_PAGE_MAX) break;
    }
  }
}
