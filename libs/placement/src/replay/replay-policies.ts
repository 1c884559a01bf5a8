import { PlacementError } from '../placement-error.js';
import { GdsfKeeper } from './keepers/gdsf-keeper.js';
import { LruKeeper } from './keepers/lru-keeper.js';
import { S3FifoKeeper } from './keepers/s3-fifo-keeper.js';
import { TinyLfuKeeper } from './keepers/tiny-lfu-keeper.js';
import { NonePolicy, ReplicateAllPolicy } from './policies/fixed-policies.js';
import { PLANNED_OPTIONS_DEFAULT, PlannedPolicy, type PlannedOptions } from './policies/planned-policy.js';
import { PullThroughPolicy, PushWarmPolicy } from './policies/pull-through-policy.js';
import type { ReplayPolicy, ReplayWorld } from './replay-policy.js';

/** The policies that a history can be replayed through; `perfect-forecast` needs an oracle besides. */
export const REPLAY_POLICIES = ['none', 'replicate-all', 'lru', 'gdsf', 'w-tinylfu', 's3-fifo', 'push-warm-lru', 'planned', 'perfect-forecast'] as const;

/** One of {@link REPLAY_POLICIES}. */
export type ReplayPolicyName = (typeof REPLAY_POLICIES)[number];

/** True for the name of a policy. */
export function isReplayPolicy(text: string): text is ReplayPolicyName {
  return (REPLAY_POLICIES as readonly string[]).includes(text);
}

/** Makes a policy. @throws {PlacementError} `REPLAY_INVALID` for `perfect-forecast` without an oracle. */
export function replayPolicy(name: ReplayPolicyName, world: ReplayWorld, options: Partial<PlannedOptions> = {}): ReplayPolicy {
  const { oracle, ...others } = options;
  switch (name) {
    case 'none': return new NonePolicy();
    case 'replicate-all': return new ReplicateAllPolicy(world);
    case 'lru': return new PullThroughPolicy(name, world, (capacityBytes) => new LruKeeper(capacityBytes));
    case 'gdsf': return new PullThroughPolicy(name, world, (capacityBytes) => new GdsfKeeper(capacityBytes));
    case 'w-tinylfu': return new PullThroughPolicy(name, world, (capacityBytes) => new TinyLfuKeeper(capacityBytes));
    case 's3-fifo': return new PullThroughPolicy(name, world, (capacityBytes) => new S3FifoKeeper(capacityBytes));
    case 'push-warm-lru': return new PushWarmPolicy(name, world, (capacityBytes) => new LruKeeper(capacityBytes));
    case 'planned': return new PlannedPolicy(world, { ...PLANNED_OPTIONS_DEFAULT, ...others });
    case 'perfect-forecast': {
      if (oracle === undefined) throw new PlacementError('REPLAY_INVALID', 'the policy perfect-forecast needs the whole history before it begins');
      return new PlannedPolicy(world, { ...PLANNED_OPTIONS_DEFAULT, ...options });
    }
  }
}
