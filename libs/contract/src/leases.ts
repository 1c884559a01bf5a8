import { z } from 'zod';

import { pageOf, pageParameters } from './page.js';
import { Count, DigestText, Id, Instant, RegionText, ShareText } from './words.js';

/** Replicas shown of one lease. */
const LEASE_REPLICAS_SHOWN_MAX = 200;

/** One lease that holds. */
export const LeaseEntry = z
  .object({
    id: Id,
    region: RegionText.meta({ description: 'Where the node is.' }),
    grantedAt: Instant,
    expiresAt: Instant.meta({ description: 'Until when it holds if it is not renewed.' }),
    shared: z.boolean().meta({ description: 'True when several pulls were given it: it cannot be released, and runs out.' }),
    renewable: z.boolean().meta({ description: 'False once it is left to run out, because what it holds has drained for too long.' }),
    replicas: z
      .array(z.object({ layer: DigestText, share: ShareText }))
      .max(LEASE_REPLICAS_SHOWN_MAX)
      .meta({ description: 'What it holds of what was asked for, by share and layer. Every source that the answer named: which of them the node mounted is not known.' }),
    replicaCount: Count.meta({ description: 'How many replicas it holds of what was asked for, those not shown included.' }),
  })
  .meta({ description: 'A node\'s claim that it has mounted something. What it holds is not removed.' });

/** Which leases to list. Filters narrow together, `share` and `layer` by one replica of the lease. */
export const LeaseQuery = z.strictObject({
  ...pageParameters,
  region: RegionText.optional().meta({ description: 'Of nodes in this region.' }),
  share: ShareText.optional().meta({ description: 'That hold something on this share.' }),
  layer: DigestText.optional().meta({ description: 'That hold this layer, or merged view.' }),
});
/** Some leases, in no order that means anything. */
export const LeasePage = pageOf(LeaseEntry);

/** See {@link LeaseEntry}. */
export type LeaseEntry = z.infer<typeof LeaseEntry>;
/** See {@link LeaseQuery}. */
export type LeaseQuery = z.infer<typeof LeaseQuery>;
