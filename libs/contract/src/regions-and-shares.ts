import { z } from 'zod';

import { pageOf } from './page.js';
import { Bytes, Count, RegionText, REGIONS_MAX, ShareText } from './words.js';

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

/** All regions. */
export const RegionPage = pageOf(RegionEntry);
/** All shares. */
export const SharePage = pageOf(ShareEntry);

/** See {@link RegionEntry}. */
export type RegionEntry = z.infer<typeof RegionEntry>;
/** See {@link ShareEntry}. */
export type ShareEntry = z.infer<typeof ShareEntry>;
