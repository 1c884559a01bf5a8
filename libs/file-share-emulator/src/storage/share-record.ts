import type { Lease } from '../lease.js';
import type { Ticks } from './ticks.js';

/** A stored access policy of a share: what signatures that name it leave out. */
export interface StoredPolicy {
  readonly id: string;
  readonly start?: string | undefined;
  readonly expiry?: string | undefined;
  readonly permission?: string | undefined;
}

/** What a share was provisioned with, and how its files are offered. */
export interface ShareSettings {
  readonly quotaGiB: number;
  /** Absent where a share was not provisioned one by one. */
  readonly iops?: number | undefined;
  readonly bandwidthMibps?: number | undefined;
  readonly accessTier?: string | undefined;
  readonly protocols?: string | undefined;
}

/** When each thing that a share was given last went up, in RFC 3339; absent for what never did. */
export type ShareRaises = { readonly [Name in 'quotaGiB' | 'iops' | 'bandwidthMibps']?: string | undefined };

/** What is kept of a share, or of a snapshot of one, beside its files. */
export interface ShareRecord extends ShareSettings {
  readonly metadata: Readonly<Record<string, string>>;
  readonly policies: readonly StoredPolicy[];
  readonly lease?: Lease | undefined;
  readonly raisedAt?: ShareRaises | undefined;
  /** When settings or metadata last changed: the share's ETag. */
  readonly changedAt: Ticks;
}

/** Reads what {@link shareRecordText} wrote; fields that older versions did not write get their defaults. */
export function parseShareRecord(text: string): ShareRecord {
  const { changedAt, policies, ...rest } = JSON.parse(text) as Omit<ShareRecord, 'changedAt' | 'policies'> & { readonly changedAt: string; readonly policies?: StoredPolicy[] };
  return { ...rest, policies: policies ?? [], changedAt: BigInt(changedAt) };
}

/** A record as text. */
export function shareRecordText(record: ShareRecord): string {
  return JSON.stringify({ ...record, changedAt: record.changedAt.toString() });
}
