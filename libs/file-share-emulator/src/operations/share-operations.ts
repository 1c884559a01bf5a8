import { AzureFilesError, invalidHeader } from '../azure-error.js';
import type { AnswerHeaders } from '../exchange.js';
import { changeHeaders, leaseHeaders, metadataHeaders, metadataOf } from '../headers.js';
import { checkLease, isHeld } from '../lease.js';
import { type Operation, type OperationContext, shareOf, viewOf } from '../operation.js';
import { refuseBody } from '../request-body.js';
import type { EmulatedShare } from '../storage/share-catalogue.js';
import type { ShareRecord } from '../storage/share-record.js';
import { element, xmlDocument } from '../xml.js';
import { downgradeHeaders, raisesAfter } from './downgrades.js';
import { checkProvisioning, newSettings, settingHeaders, settingsOf } from './share-settings.js';

/** Operations on shares as a whole. */
export const shareOperations: readonly Operation[] = [
  { name: 'Create Share', method: 'PUT', target: 'share', restype: 'share', needs: { level: 'c', anyOf: 'cw' }, run: createShare },
  { name: 'Get Share Properties', method: 'GET', target: 'share', restype: 'share', needs: { level: 'c', anyOf: 'r' }, onSnapshots: true, run: getShare },
  { name: 'Get Share Properties', method: 'HEAD', target: 'share', restype: 'share', needs: { level: 'c', anyOf: 'r' }, onSnapshots: true, run: getShare },
  { name: 'Get Share Metadata', method: 'GET', target: 'share', restype: 'share', comp: 'metadata', needs: { level: 'c', anyOf: 'r' }, onSnapshots: true, run: getShare },
  { name: 'Get Share Metadata', method: 'HEAD', target: 'share', restype: 'share', comp: 'metadata', needs: { level: 'c', anyOf: 'r' }, onSnapshots: true, run: getShare },
  { name: 'Get Share Stats', method: 'GET', target: 'share', restype: 'share', comp: 'stats', needs: { level: 'c', anyOf: 'r' }, run: getShareStats },
  { name: 'Set Share Properties', method: 'PUT', target: 'share', restype: 'share', comp: 'properties', needs: { level: 'c', anyOf: 'w' }, run: setShareProperties },
  { name: 'Set Share Metadata', method: 'PUT', target: 'share', restype: 'share', comp: 'metadata', needs: { level: 'c', anyOf: 'w' }, run: setShareMetadata },
  { name: 'Delete Share', method: 'DELETE', target: 'share', restype: 'share', needs: { level: 'c', anyOf: 'd' }, onSnapshots: true, run: deleteShare },
  { name: 'Snapshot Share', method: 'PUT', target: 'share', restype: 'share', comp: 'snapshot', needs: { level: 'c', anyOf: 'cw' }, run: snapshotShare },
  { name: 'Restore Share', method: 'PUT', target: 'share', restype: 'share', comp: 'undelete', needs: { level: 'c', anyOf: 'w' }, run: restoreShare },
];

async function createShare({ exchange, shares }: OperationContext): Promise<void> {
  refuseBody(exchange);
  const settings = newSettings(settingsOf(exchange));
  const { record } = await shares.create(exchange.head.address.share ?? '', { ...settings, metadata: metadataOf(exchange) }, checkProvisioning);
  exchange.reply(201, { ...changeHeaders(record.changedAt), ...settingHeaders(record) });
}

async function getShare(context: OperationContext): Promise<void> {
  const { record } = viewOf(context);
  checkShareLease(context, record, { writes: false });
  context.exchange.reply(200, { ...shareHeaders(record), ...leaseHeaders(record.lease), ...metadataHeaders(record.metadata) });
}

async function getShareStats(context: OperationContext): Promise<void> {
  const { record, folder } = shareOf(context);
  checkShareLease(context, record, { writes: false });
  context.exchange.replyXml(200, changeHeaders(record.changedAt), xmlDocument(`<ShareStats>${element('ShareUsageBytes', folder.usedBytes)}</ShareStats>`));
}

async function setShareProperties(context: OperationContext): Promise<void> {
  const { exchange, shares } = context;
  refuseBody(exchange);
  const settings = settingsOf(exchange);
  const { record } = await shares.change(shareOf(context).name, (before, others) => {
    checkShareLease(context, before, { writes: false });
    checkProvisioning({ ...before, ...settings }, others);
    return { ...settings, raisedAt: raisesAfter({ before, asked: settings }, new Date()) };
  });
  exchange.reply(200, shareHeaders(record));
}

async function setShareMetadata(context: OperationContext): Promise<void> {
  const { exchange, shares } = context;
  refuseBody(exchange);
  const metadata = metadataOf(exchange);
  const { record } = await shares.change(shareOf(context).name, (before) => {
    checkShareLease(context, before, { writes: false });
    return { metadata };
  });
  exchange.reply(200, shareHeaders(record));
}

async function deleteShare(context: OperationContext): Promise<void> {
  const { exchange, shares } = context;
  const share = shareOf(context);
  const stamp = exchange.query('sharesnapshot');
  if (stamp !== undefined) {
    checkShareLease(context, share.snapshots.get(stamp).record, { writes: true });
    await share.snapshots.remove(stamp);
    return exchange.reply(202, {});
  }
  checkShareLease(context, share.record, { writes: true });
  checkSnapshotsMayGo(share, exchange.header('x-ms-delete-snapshots')?.toLowerCase());
  const { usedBytes } = share.folder;
  await shares.remove(share.name);
  exchange.reply(202, { 'x-ms-file-share-usage-bytes': usedBytes });
}

function checkSnapshotsMayGo({ snapshots }: EmulatedShare, option: string | undefined): void {
  if (option !== undefined && option !== 'include' && option !== 'include-leased') throw invalidHeader('x-ms-delete-snapshots', option);
  const all = snapshots.list();
  if (all.length > 0 && option === undefined) throw new AzureFilesError('ShareHasSnapshots');
  if (option === 'include' && all.some(({ record }) => isHeld(record.lease, Date.now()))) throw new AzureFilesError('DeleteShareWhenSnapshotLeased');
}

/** The answer has the share's own, unchanged ETag, as the real service was recorded. */
async function snapshotShare(context: OperationContext): Promise<void> {
  const { exchange } = context;
  refuseBody(exchange);
  const share = shareOf(context);
  checkShareLease(context, share.record, { writes: false });
  const given = metadataOf(exchange);
  const metadata = Object.keys(given).length > 0 ? given : share.record.metadata;
  const { stamp } = await share.snapshots.take(share.folder, { ...share.record, metadata });
  exchange.reply(201, { ...changeHeaders(share.record.changedAt), 'x-ms-snapshot': stamp });
}

async function restoreShare({ exchange, shares }: OperationContext): Promise<void> {
  refuseBody(exchange);
  const name = exchange.head.address.share ?? '';
  if (exchange.requiredHeader('x-ms-deleted-share-name') !== name) throw invalidHeader('x-ms-deleted-share-name', exchange.header('x-ms-deleted-share-name'));
  const { record } = await shares.restore(name, exchange.requiredHeader('x-ms-deleted-share-version'), checkProvisioning);
  exchange.reply(201, shareHeaders(record));
}

function checkShareLease({ exchange }: OperationContext, { lease }: ShareRecord, { writes }: { readonly writes: boolean }): void {
  checkLease(lease, { id: exchange.header('x-ms-lease-id'), writes, now: Date.now() });
}

function shareHeaders(record: ShareRecord): AnswerHeaders {
  return { ...changeHeaders(record.changedAt), ...settingHeaders(record), ...downgradeHeaders(record.raisedAt) };
}
