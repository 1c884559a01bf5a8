import { matchesPattern, parsePlatform } from '#oci';
import { MINUTE_MS, SECOND_MS } from '#quantities';
import {
  type Backfill, backfillRepository, type BackfillStore, type ExaminedImages, type Examination, type ExaminationStore, examineReference, type ImageStore,
  type RegistryReader, type RepositoryStore,
} from '#registry';

import { LoopGroup } from './loop-group.js';
import { workLoop } from './work-loop.js';
import type { WorkSurroundings } from './work-surroundings.js';

/** References examined at the same time by one process: each is a few requests to a registry that also serves pulls. */
const EXAMINATIONS_AT_ONCE = 8;
/** Repositories backfilled at the same time by one process. */
const BACKFILLS_AT_ONCE = 2;
const RHYTHM = { leaseMs: MINUTE_MS, pollMs: SECOND_MS };

/** What examining takes. */
export interface IntakeTools {
  readonly registry: RegistryReader;
  readonly images: ImageStore;
  readonly repositories: RepositoryStore;
  readonly examinations: ExaminationStore;
  readonly backfills: BackfillStore;
  readonly recorded: ExaminedImages;
}

/** Examines what notifications and backfills name. */
export function intakeLoops(surroundings: WorkSurroundings, tools: IntakeTools): LoopGroup {
  const { config, clock, logger, signals } = surroundings;
  const { registry: client, images, repositories, examinations, backfills, recorded } = tools;
  const platforms = config.registry.platforms.map(parsePlatform);
  const now = (): Date => clock.now();
  const examining = workLoop<Examination>(surroundings, {
    name: 'examine', source: examinations, concurrency: EXAMINATIONS_AT_ONCE, ...RHYTHM,
    describe: ({ repository, reference }) => ({ repository, reference }),
    work: async (claimed, signal) => {
      if (claimed.item.pushedAt !== undefined) await enableByPolicy(repositories, { patterns: config.registry.enable, repository: claimed.item.repository, now: now() });
      const outcome = await examineReference({ client, images, repositories, recorded, platforms, now }, claimed, signal);
      if (outcome.kind === 'unusable') logger.warn({ ...claimed.item, reason: outcome.reason }, 'a reference cannot be served');
      if (outcome.kind !== 'lost') await examinations.settle(claimed.claim.id, claimed.item.generation, now());
    },
  });
  const backfilling = workLoop<Backfill>(surroundings, {
    name: 'backfill', source: backfills, concurrency: BACKFILLS_AT_ONCE, ...RHYTHM,
    describe: ({ repository }) => ({ repository }),
    work: async (claimed, signal) => {
      await backfillRepository({ client, backfills, images, platforms, now }, claimed, signal);
      examining.nudge();
    },
  });
  signals.on('examinations', () => {
    examining.nudge();
    backfilling.nudge();
  });
  return new LoopGroup([examining, backfilling], config.server.shutdownGrace);
}

/** Enables a repository that nobody has decided on yet, when the configuration's policy names it. An operator's decision stands. */
async function enableByPolicy(repositories: RepositoryStore, policy: { readonly patterns: readonly string[]; readonly repository: string; readonly now: Date }): Promise<void> {
  const { patterns, repository, now } = policy;
  if (!matchesPattern(patterns, repository) || (await repositories.get(repository)) !== undefined) return;
  await repositories.enable(repository, now);
}
