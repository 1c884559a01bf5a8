import { invalidQuery, invalidHeader } from '../azure-error.js';
import type { AnswerHeaders, Exchange } from '../exchange.js';
import { changeHeaders, metadataHeaders, metadataOf } from '../headers.js';
import { type Operation, type OperationContext, shareOf } from '../operation.js';
import { refuseBody } from '../request-body.js';
import type { EmulatedShare } from '../storage/share-catalogue.js';
import { etagOf, httpDateOf } from '../storage/ticks.js';
import { element, escapeXml, xmlDocument } from '../xml.js';

/** The largest share of a provisioned v2 account: 256 TiB. */
const QUOTA_GIB_MAX = 262_144;
/** What a share holds when nothing else is asked for: 5 TiB, Azure's own default. */
const QUOTA_GIB_DEFAULT = 5120;
const LISTED_MAX = 5000;

/** Operations on the service and on shares as a whole. */
export const shareOperations: readonly Operation[] = [
  { name: 'List Shares', method: 'GET', target: 'service', comp: 'list', needs: { level: 's', anyOf: 'l' }, run: listShares },
  { name: 'Create Share', method: 'PUT', target: 'share', restype: 'share', needs: { level: 'c', anyOf: 'cw' }, run: createShare },
  { name: 'Get Share Properties', method: 'GET', target: 'share', restype: 'share', needs: { level: 'c', anyOf: 'r' }, run: getShare },
  { name: 'Get Share Properties', method: 'HEAD', target: 'share', restype: 'share', needs: { level: 'c', anyOf: 'r' }, run: getShare },
  { name: 'Get Share Stats', method: 'GET', target: 'share', restype: 'share', comp: 'stats', needs: { level: 'c', anyOf: 'r' }, run: getShareStats },
  { name: 'Set Share Properties', method: 'PUT', target: 'share', restype: 'share', comp: 'properties', needs: { level: 'c', anyOf: 'w' }, run: setShareProperties },
  { name: 'Set Share Metadata', method: 'PUT', target: 'share', restype: 'share', comp: 'metadata', needs: { level: 'c', anyOf: 'w' }, run: setShareMetadata },
  { name: 'Delete Share', method: 'DELETE', target: 'share', restype: 'share', needs: { level: 'c', anyOf: 'd' }, run: deleteShare },
];

async function listShares({ exchange, shares, endpoint }: OperationContext): Promise<void> {
  const prefix = exchange.query('prefix') ?? '';
  const after = exchange.query('marker') ?? '';
  const max = pageSize(exchange);
  const wanted = shares.list().filter((share) => share.name.startsWith(prefix) && share.name > after);
  const page = wanted.slice(0, max);
  const next = wanted.length > page.length ? (page.at(-1)?.name ?? '') : '';
  const withMetadata = (exchange.query('include') ?? '').split(',').includes('metadata');
  const listed = page.map((share) => shareElement(share, withMetadata)).join('');
  const head = `${element('Prefix', exchange.query('prefix'))}${element('Marker', exchange.query('marker'))}${element('MaxResults', exchange.query('maxresults'))}`;
  exchange.replyXml(200, {}, xmlDocument(
    `<EnumerationResults ServiceEndpoint="${escapeXml(endpoint)}">${head}<Shares>${listed}</Shares>${element('NextMarker', next)}</EnumerationResults>`,
  ));
}

function shareElement(share: EmulatedShare, withMetadata: boolean): string {
  const properties = element('Last-Modified', httpDateOf(share.changedAt)) + element('Etag', etagOf(share.changedAt)) + element('Quota', share.quotaGiB);
  const metadata = Object.entries(share.metadata).map(([name, value]) => element(name, value)).join('');
  return `<Share>${element('Name', share.name)}<Properties>${properties}</Properties>${withMetadata ? `<Metadata>${metadata}</Metadata>` : ''}</Share>`;
}

async function createShare({ exchange, shares }: OperationContext): Promise<void> {
  refuseBody(exchange);
  const share = await shares.create(exchange.head.address.share ?? '', quotaOf(exchange) ?? QUOTA_GIB_DEFAULT, metadataOf(exchange));
  exchange.reply(201, shareHeaders(share));
}

async function getShare(context: OperationContext): Promise<void> {
  const share = shareOf(context);
  context.exchange.reply(200, { ...shareHeaders(share), ...metadataHeaders(share.metadata), 'x-ms-enabled-protocols': 'SMB' });
}

async function getShareStats(context: OperationContext): Promise<void> {
  const share = shareOf(context);
  context.exchange.replyXml(200, shareHeaders(share), xmlDocument(`<ShareStats>${element('ShareUsageBytes', share.folder.usedBytes)}</ShareStats>`));
}

async function setShareProperties({ exchange, shares }: OperationContext): Promise<void> {
  refuseBody(exchange);
  const quotaGiB = quotaOf(exchange);
  const share = await shares.change(exchange.head.address.share ?? '', quotaGiB === undefined ? {} : { quotaGiB });
  exchange.reply(200, shareHeaders(share));
}

async function setShareMetadata({ exchange, shares }: OperationContext): Promise<void> {
  refuseBody(exchange);
  exchange.reply(200, shareHeaders(await shares.change(exchange.head.address.share ?? '', { metadata: metadataOf(exchange) })));
}

async function deleteShare({ exchange, shares }: OperationContext): Promise<void> {
  const usedBytes = shares.get(exchange.head.address.share ?? '').folder.usedBytes;
  await shares.remove(exchange.head.address.share ?? '');
  exchange.reply(202, { 'x-ms-file-share-usage-bytes': usedBytes });
}

function shareHeaders(share: EmulatedShare): AnswerHeaders {
  return { ...changeHeaders(share.changedAt), 'x-ms-share-quota': share.quotaGiB };
}

function quotaOf(exchange: Exchange): number | undefined {
  const text = exchange.header('x-ms-share-quota');
  if (text === undefined) return undefined;
  const quota = /^\d{1,7}$/.test(text) ? Number(text) : 0;
  if (quota < 1 || quota > QUOTA_GIB_MAX) throw invalidHeader('x-ms-share-quota', text);
  return quota;
}

/** How many entries a page of a listing may have. */
export function pageSize(exchange: Exchange): number {
  const text = exchange.query('maxresults');
  if (text === undefined) return LISTED_MAX;
  const size = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (size < 1) throw invalidQuery('maxresults', text);
  return Math.min(size, LISTED_MAX);
}
