import { z } from 'zod';

import { pageOf } from './page.js';
import { Bytes, Count, Instant, RegionText, REGIONS_MAX, Sentence, ShareText } from './words.js';

/** A region, and how far the others are. */
export const RegionEntry = z
  .object({
    name: RegionText,
    displayName: z.string().max(200),
    home: z.boolean().meta({ description: 'Whether pushes are expanded here first.' }),
    shares: z.array(ShareText).max(REGIONS_MAX),
    links: z
      .array(z.object({ to: RegionText, roundTripMs: z.number().positive(), throughputBytesPerSecond: z.number().positive(), pricePerGb: z.number().min(0) }))
      .max(REGIONS_MAX)
      .meta({ description: 'To every other region, the nearest first. Prices are US dollars for 10⁹ bytes.' }),
  })
  .meta({ description: 'A region of this deployment.' });

/** A share and what is on it. */
export const ShareEntry = z
  .object({
    name: ShareText,
    region: RegionText,
    capacityBytes: Bytes,
    usedBytes: Bytes.meta({ description: 'Bytes of replicas that are ready or draining.' }),
    reservedBytes: Bytes.meta({ description: 'Bytes of replicas that are wanted or being copied.' }),
    replicas: z.object({ wanted: Count, copying: Count, ready: Count, draining: Count }).meta({ description: 'Replicas by state.' }),
  })
  .meta({ description: 'A share and what is on it.' });

/** Why the drain of a region is not done yet. */
export const DRAIN_WAITS = ['room', 'copies', 'grace', 'leases', 'open-files', 'removals'] as const;

/** Why a process has the grace of drains take its whole time. */
export const GRACE_HOLDS = ['silent', 'ended', 'unleased', 'nothing'] as const;

/** Such processes that a drain shows, at most. */
export const GRACE_HOLDERS_MAX = 100;

const ReplicaSum = z.object({ count: Count, sizeBytes: Bytes });

/** How far the drain of a region is. */
export const RegionDrainBody = z
  .object({
    state: z.enum(['draining', 'drained']).meta({ description: 'Drained: nothing is left, and nothing new comes until the drain is ended.' }),
    reason: Sentence,
    orderedBy: z.string().max(300),
    since: Instant,
    drainedAt: Instant.optional(),
    left: z.object({
      replicas: ReplicaSum.meta({ description: 'All replicas that are not gone.' }),
      last: ReplicaSum.meta({ description: 'Of them, those that no other region has ready: they are copied home first.' }),
      draining: ReplicaSum.meta({ description: 'Of them, those that have left the answers and whose files go when nobody holds them.' }),
      leases: Count.meta({ description: 'Leases of nodes that hold something there.' }),
      openHandles: Count.optional().meta({ description: 'Handles that clients hold open on the share, up to 10,000; absent where the share could not be asked.' }),
    }),
    waitsFor: z.array(z.enum(DRAIN_WAITS)).max(DRAIN_WAITS.length).meta({ description: 'What keeps it from being done: room at home, copies to it, the grace time after the last answers, leases, files that are open, removals under way.' }),
    restingUntil: Instant.optional().meta({ description: 'Until when the file that is left alone longest is, unless everybody who answers knows before that that it drains.' }),
    graceHeldBy: z
      .array(z.object({ process: z.string().max(300), standing: z.enum(GRACE_HOLDS), heardAt: Instant }))
      .max(GRACE_HOLDERS_MAX)
      .optional()
      .meta({ description: 'While it waits for the grace: processes because of which it takes its whole time. They were not heard for a while, ended and left a map on disk, gave mounts without a lease, or know nothing yet.' }),
  })
  .meta({ description: 'The drain of a region.' });

/** Orders the drain of a region. */
export const RegionDrainRequest = z.strictObject({ reason: z.string().min(1).max(500).default('ordered by an operator').meta({ description: 'For people.' }) }).meta({ description: 'Why a region is drained.' });

/** A region with what it holds. */
export const RegionStatus = RegionEntry.extend({
  replicas: z.object({ wanted: Count, copying: Count, ready: Count, draining: Count }).meta({ description: 'Replicas by state.' }),
  usedBytes: Bytes.meta({ description: 'Bytes of replicas that are ready or draining.' }),
  drain: RegionDrainBody.optional().meta({ description: 'Absent unless the region is drained.' }),
});

/** All regions. */
export const RegionPage = pageOf(RegionEntry);
/** All shares. */
export const SharePage = pageOf(ShareEntry);

/** See {@link RegionEntry}. */
export type RegionEntry = z.infer<typeof RegionEntry>;
/** See {@link RegionDrainBody}. */
export type RegionDrainBody = z.infer<typeof RegionDrainBody>;
/** See {@link RegionDrainRequest}. */
export type RegionDrainRequest = z.infer<typeof RegionDrainRequest>;
/** See {@link RegionStatus}. */
export type RegionStatus = z.infer<typeof RegionStatus>;
/** See {@link ShareEntry}. */
export type ShareEntry = z.infer<typeof ShareEntry>;
