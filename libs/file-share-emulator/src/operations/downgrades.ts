import { DAY_MS } from '#quantities';

import { AzureFilesError } from '../azure-error.js';
import type { AnswerHeaders } from '../exchange.js';
import type { ShareRaises, ShareSettings } from '../storage/share-record.js';

/** What a provisioned share was given may go down only this long after it last went up (Azure's rule). */
export const DOWNGRADE_WAIT_MS = DAY_MS;

/** What can go up and down, the code that refuses going down, and the header that says when it may. */
const GIVEN = {
  quotaGiB: ['ContainerQuotaDowngradeNotAllowed', 'x-ms-share-next-allowed-quota-downgrade-time'],
  iops: ['FileShareProvisionedIopsDowngradeNotAllowed', 'x-ms-share-next-allowed-provisioned-iops-downgrade-time'],
  bandwidthMibps: ['FileShareProvisionedBandwidthDowngradeNotAllowed', 'x-ms-share-next-allowed-provisioned-bandwidth-downgrade-time'],
} as const;
const NAMES = Object.keys(GIVEN) as (keyof typeof GIVEN)[];

/** A share as it is, and what it is to be given. */
export interface Regrant {
  readonly before: ShareSettings & { readonly raisedAt?: ShareRaises | undefined };
  readonly asked: Partial<ShareSettings>;
}

/**
 * When each thing that a share was given last went up, once it is given what is asked for. Shares that are not provisioned one by one may go down at any time.
 * @throws {AzureFilesError} where something went up less than {@link DOWNGRADE_WAIT_MS} ago and is to go down.
 */
export function raisesAfter({ before, asked }: Regrant, now: Date): ShareRaises | undefined {
  if (before.iops === undefined && before.bandwidthMibps === undefined) return before.raisedAt;
  let raises = before.raisedAt ?? {};
  for (const name of NAMES) {
    const [was, wanted] = [before[name], asked[name]];
    if (was === undefined || wanted === undefined || wanted === was) continue;
    const raisedAt = raises[name];
    if (wanted > was) raises = { ...raises, [name]: now.toISOString() };
    else if (raisedAt !== undefined && now.getTime() < Date.parse(raisedAt) + DOWNGRADE_WAIT_MS) throw new AzureFilesError(GIVEN[name][0]);
  }
  return raises;
}

/** From when on what went up may go down again, as headers of an answer. */
export function downgradeHeaders(raises: ShareRaises = {}): AnswerHeaders {
  return Object.fromEntries(NAMES.map((name) => {
    const raisedAt = raises[name];
    return [GIVEN[name][1], raisedAt === undefined ? undefined : new Date(Date.parse(raisedAt) + DOWNGRADE_WAIT_MS).toUTCString()];
  }));
}
