import { AzureFilesError, invalidHeader } from '../azure-error.js';
import type { Exchange } from '../exchange.js';
import { changeHeaders } from '../headers.js';
import { INFINITE, type Lease, type LeaseOutcome, type LeaseRequest, stepLease } from '../lease.js';
import { filePath, type Operation, type OperationContext, shareOf } from '../operation.js';
import { refuseBody } from '../request-body.js';
import type { ShareSnapshots } from '../storage/share-snapshots.js';
import type { Ticks } from '../storage/ticks.js';

/** Seconds of a share's lease that is not infinite. */
const SECONDS_MIN = 15;
const SECONDS_MAX = 60;
const GUID = /^[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$/i;
const ACTIONS: readonly LeaseRequest['action'][] = ['acquire', 'renew', 'change', 'release', 'break'];

/** Operations on the leases of shares, snapshots and files. */
export const leaseOperations: readonly Operation[] = [
  { name: 'Lease Share', method: 'PUT', target: 'share', restype: 'share', comp: 'lease', needs: { level: 'c', anyOf: 'wd' }, onSnapshots: true, run: leaseShare },
  { name: 'Lease File', method: 'PUT', target: 'path', comp: 'lease', needs: { level: 'o', anyOf: 'wd' }, run: leaseFile },
];

async function leaseShare(context: OperationContext): Promise<void> {
  const { exchange } = context;
  refuseBody(exchange);
  const share = shareOf(context);
  const request = requestOf(exchange);
  const isFixed = request.seconds >= SECONDS_MIN && request.seconds <= SECONDS_MAX;
  if (request.action === 'acquire' && request.seconds !== INFINITE && !isFixed) throw invalidHeader('x-ms-lease-duration', String(request.seconds));
  const stamp = exchange.query('sharesnapshot');
  const { outcome, changedAt } = stamp === undefined ? await leaseLive(context, request) : await leaseSnapshot(share.snapshots, stamp, request);
  reply(exchange, outcome, changedAt);
}

interface Leased {
  readonly outcome: LeaseOutcome;
  readonly changedAt: Ticks;
}

async function leaseLive(context: OperationContext, request: LeaseRequest): Promise<Leased> {
  let leased: Leased | undefined;
  await context.shares.change(shareOf(context).name, ({ lease, changedAt }) => {
    leased = { outcome: stepLease(lease, request, Date.now()), changedAt };
    return { lease: leased.outcome.lease };
  });
  return leased!;
}

async function leaseSnapshot(snapshots: ShareSnapshots, stamp: string, request: LeaseRequest): Promise<Leased> {
  const { lease, changedAt } = snapshots.get(stamp).record;
  const outcome = stepLease(lease, request, Date.now());
  await snapshots.setLease(stamp, outcome.lease);
  return { outcome, changedAt };
}

async function leaseFile(context: OperationContext): Promise<void> {
  const { exchange } = context;
  refuseBody(exchange);
  const request = requestOf(exchange);
  if (request.action === 'renew') throw invalidHeader('x-ms-lease-action', request.action);
  if (request.action === 'acquire' && request.seconds !== INFINITE) throw invalidHeader('x-ms-lease-duration', String(request.seconds));
  const { folder } = shareOf(context);
  const { outcome, changedAt } = await folder.lease(filePath(context), (lease: Lease | undefined) => stepLease(lease, { ...request, breakSeconds: 0 }, Date.now()));
  reply(exchange, outcome, changedAt);
}

function reply(exchange: Exchange, { lease, status, remainingSeconds }: LeaseOutcome, changedAt: Ticks): void {
  exchange.reply(status, {
    ...changeHeaders(changedAt),
    'x-ms-lease-id': remainingSeconds === undefined ? lease?.id : undefined,
    'x-ms-lease-time': remainingSeconds,
  });
}

function requestOf(exchange: Exchange): LeaseRequest {
  const text = exchange.requiredHeader('x-ms-lease-action').toLowerCase();
  const action = ACTIONS.find((candidate) => candidate === text);
  if (action === undefined) throw invalidHeader('x-ms-lease-action', text);
  const id = idOf(exchange, 'x-ms-lease-id');
  const proposedId = idOf(exchange, 'x-ms-proposed-lease-id');
  if (id === undefined && ['renew', 'change', 'release'].includes(action)) throw new AzureFilesError('MissingRequiredHeader', { elements: { HeaderName: 'x-ms-lease-id' } });
  if (proposedId === undefined && action === 'change') throw new AzureFilesError('MissingRequiredHeader', { elements: { HeaderName: 'x-ms-proposed-lease-id' } });
  return { action, id, proposedId, seconds: secondsOf(exchange, 'x-ms-lease-duration') ?? INFINITE, breakSeconds: secondsOf(exchange, 'x-ms-lease-break-period') };
}

function idOf(exchange: Exchange, name: string): string | undefined {
  const text = exchange.header(name);
  if (text !== undefined && !GUID.test(text)) throw invalidHeader(name, text);
  return text?.toLowerCase();
}

function secondsOf(exchange: Exchange, name: string): number | undefined {
  const text = exchange.header(name);
  if (text === undefined) return undefined;
  if (!/^(?:-1|\d{1,2})$/.test(text) || Number(text) > SECONDS_MAX) throw invalidHeader(name, text);
  return Number(text);
}
