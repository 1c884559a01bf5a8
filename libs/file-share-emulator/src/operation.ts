import type { Grant, Requirement } from './access/grant.js';
import type { CopySourceReader } from './copy-source.js';
import type { Exchange } from './exchange.js';
import type { EmulatedShare, ShareCatalogue } from './storage/share-catalogue.js';
import type { TrafficMeter } from './traffic.js';

/** What operations work with, for one request. */
export interface OperationContext {
  readonly exchange: Exchange;
  readonly grant: Grant;
  readonly account: string;
  readonly endpoint: string;
  readonly shares: ShareCatalogue;
  readonly traffic: TrafficMeter;
  readonly copySources: CopySourceReader;
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
  readonly needs: Requirement;
  run(context: OperationContext): Promise<void>;
}

/** The share that a request is for. */
export function shareOf({ exchange, shares }: OperationContext): EmulatedShare {
  return shares.get(exchange.head.address.share ?? '');
}

/** The path on the share that a request is for. */
export function pathOf({ exchange }: OperationContext): string {
  return exchange.head.address.path;
}
