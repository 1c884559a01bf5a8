import type { Grant, Requirement } from './access/grant.js';
import { AzureFilesError } from './azure-error.js';
import type { Line } from './control/line.js';
import type { EmulatedAccount } from './emulator-options.js';
import type { Exchange } from './exchange.js';
import type { ServiceContext } from './service-context.js';
import type { Writer } from './storage/entry.js';
import type { EmulatedShare, ShareCatalogue } from './storage/share-catalogue.js';
import type { ShareFolder } from './storage/share-folder.js';
import type { ShareRecord } from './storage/share-record.js';

/** What operations work with, for one request. */
export interface OperationContext {
  readonly exchange: Exchange;
  readonly grant: Grant;
  readonly account: EmulatedAccount;
  /** The account's own URL, with a slash at the end. */
  readonly endpoint: string;
  readonly shares: ShareCatalogue;
  /** What the request's bytes pass through. */
  readonly line: Line;
  readonly service: ServiceContext;
}

/** What an operation acts on: the service, a share, or something on a share (its root folder included). */
export type Target = 'service' | 'share' | 'path';

/** One operation of the REST API: how it is told from others, what it needs, and what it does. */
export interface Operation {
  readonly name: string;
  readonly method: string;
  readonly target: Target;
  /** The `restype` and `comp` query parameters; absent means that the request must not have them. */
  readonly restype?: string;
  readonly comp?: string;
  /** Where several operations have the same method and parameters: the header that tells this one. */
  readonly header?: string;
  readonly needs: Requirement;
  /** True for what can also be asked of a snapshot. */
  readonly onSnapshots?: boolean;
  run(context: OperationContext): Promise<void>;
}

/** A share, or a snapshot of one, to read from. */
export interface ShareView {
  readonly share: EmulatedShare;
  readonly folder: ShareFolder;
  readonly record: ShareRecord;
  /** Absent for the share itself. */
  readonly stamp: string | undefined;
}

/** The share that a request is for. */
export function shareOf({ exchange, shares }: OperationContext): EmulatedShare {
  return shares.get(exchange.head.address.share ?? '');
}

/** The share, or the snapshot, that a request reads. */
export function viewOf(context: OperationContext): ShareView {
  const share = shareOf(context);
  const stamp = context.exchange.query('sharesnapshot');
  if (stamp === undefined) return { share, folder: share.folder, record: share.record, stamp };
  const { folder, record } = share.snapshots.get(stamp);
  return { share, folder, record, stamp };
}

/** The path on the share that a request is for. */
export function pathOf({ exchange }: OperationContext): string {
  return exchange.head.address.path;
}

/** The path of a request that cannot be for the root folder. */
export function filePath(context: OperationContext): string {
  const path = pathOf(context);
  if (path === '') throw new AzureFilesError('InvalidUri');
  return path;
}

/** On whose behalf a request changes something. */
export function writerOf({ exchange }: OperationContext): Writer {
  return { leaseId: exchange.header('x-ms-lease-id') };
}
