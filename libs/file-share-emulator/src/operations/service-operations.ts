import { delegationKeyValue, DELEGATION_MAX_MS } from '../access/user-delegation.js';
import { instantOf } from '../access/sas-restrictions.js';
import { AzureFilesError } from '../azure-error.js';
import { leaseHeaders } from '../headers.js';
import type { Operation, OperationContext } from '../operation.js';
import { readXmlBody, refuseBody } from '../request-body.js';
import type { ShareRecord } from '../storage/share-record.js';
import { etagOf, httpDateOf } from '../storage/ticks.js';
import { element, escapeXml, xmlDocument } from '../xml.js';
import { childOf, textOf, type XmlElement } from '../xml-reader.js';
import { markerOf, pageSize, positionOf } from './pages.js';
import { settingElements } from './share-settings.js';

/** Operations on an account's service as a whole. */
export const serviceOperations: readonly Operation[] = [
  { name: 'List Shares', method: 'GET', target: 'service', comp: 'list', needs: { level: 's', anyOf: 'l' }, run: listShares },
  { name: 'Get Service Properties', method: 'GET', target: 'service', restype: 'service', comp: 'properties', needs: { level: 's', anyOf: 'r' }, run: getProperties },
  { name: 'Set Service Properties', method: 'PUT', target: 'service', restype: 'service', comp: 'properties', needs: { level: 's', anyOf: 'w' }, run: setProperties },
  { name: 'Get User Delegation Key', method: 'POST', target: 'service', restype: 'service', comp: 'userdelegationkey', needs: { level: 's', anyOf: 'r', tokenOnly: true }, run: getDelegationKey },
];

/** CORS rules of an account (Azure: 5). */
const CORS_RULES_MAX = 5;
const NO_METRICS = '<Version>1.0</Version><Enabled>false</Enabled><RetentionPolicy><Enabled>false</Enabled></RetentionPolicy>';
/** What an account has that was never told anything: an answer has all of them, and clients rely on it. */
const DEFAULT_PROPERTIES = {
  HourMetrics: `<HourMetrics>${NO_METRICS}</HourMetrics>`,
  MinuteMetrics: `<MinuteMetrics>${NO_METRICS}</MinuteMetrics>`,
  Cors: '<Cors/>',
  ProtocolSettings: '<ProtocolSettings><SMB><Multichannel><Enabled>false</Enabled></Multichannel></SMB></ProtocolSettings>',
};

interface Listed {
  readonly name: string;
  /** Where this entry stands in the order of the listing: shares by name, the snapshots of a share before it. */
  readonly position: string;
  readonly record: ShareRecord;
  readonly stamp?: string;
  readonly deleted?: { readonly version: string; readonly deletedAt: Date; readonly remainingDays: number };
}

async function listShares({ exchange, shares, endpoint }: OperationContext): Promise<void> {
  refuseBody(exchange);
  const prefix = exchange.query('prefix') ?? '';
  const after = positionOf(exchange);
  const include = new Set((exchange.query('include') ?? '').toLowerCase().split(',').map((word) => word.trim()));
  const all: Listed[] = shares.list().map(({ name, record }) => ({ name, record, position: `${name}/~` }));
  if (include.has('snapshots')) {
    for (const { name, snapshots } of shares.list()) all.push(...snapshots.list().map(({ stamp, record }) => ({ name, record, stamp, position: `${name}/${stamp}` })));
  }
  if (include.has('deleted')) {
    const now = new Date();
    await shares.deleted.purge(now);
    for (const share of shares.deleted.list()) {
      const { name, record, version, deletedAt } = share;
      all.push({ name, record, deleted: { version, deletedAt, remainingDays: shares.deleted.remainingDays(share, now) }, position: `${name}/~~${version}` });
    }
  }
  const wanted = all.filter(({ name, position }) => name.startsWith(prefix) && position > after).toSorted((a, b) => (a.position < b.position ? -1 : 1));
  const page = wanted.slice(0, pageSize(exchange));
  const next = markerOf(wanted.length > page.length ? page.at(-1)?.position : undefined);
  const listed = page.map((share) => shareElement(share, include.has('metadata'))).join('');
  const head = ['Prefix', 'Marker', 'MaxResults'].map((name) => element(name, exchange.query(name.toLowerCase()))).join('');
  exchange.replyXml(200, {}, xmlDocument(
    `<EnumerationResults ServiceEndpoint="${escapeXml(endpoint)}">${head}<Shares>${listed}</Shares>${element('NextMarker', next)}</EnumerationResults>`,
  ));
}

function shareElement({ name, record, stamp, deleted }: Listed, withMetadata: boolean): string {
  const lease = leaseHeaders(record.lease);
  const properties = [
    element('Last-Modified', httpDateOf(record.changedAt)),
    element('Etag', etagOf(record.changedAt)),
    settingElements(record),
    element('LeaseStatus', lease['x-ms-lease-status']) + element('LeaseState', lease['x-ms-lease-state']) + element('LeaseDuration', lease['x-ms-lease-duration']),
    element('DeletedTime', deleted?.deletedAt.toUTCString()) + element('RemainingRetentionDays', deleted?.remainingDays),
  ].join('');
  const which = element('Snapshot', stamp) + (deleted === undefined ? '' : element('Deleted', 'true') + element('Version', deleted.version));
  const metadata = Object.entries(record.metadata).map(([key, value]) => element(key, value)).join('');
  return `<Share>${element('Name', name)}${which}<Properties>${properties}</Properties>${withMetadata ? `<Metadata>${metadata}</Metadata>` : ''}</Share>`;
}

async function getProperties({ exchange, shares }: OperationContext): Promise<void> {
  const told = new Map(shares.serviceProperties.map((property) => [property.name, toXml(property)]));
  const properties = Object.entries(DEFAULT_PROPERTIES).map(([name, unlessTold]) => told.get(name) ?? unlessTold);
  exchange.replyXml(200, {}, xmlDocument(`<StorageServiceProperties>${properties.join('')}</StorageServiceProperties>`));
}

/** What a client leaves out stays as it is. */
async function setProperties({ exchange, shares }: OperationContext): Promise<void> {
  const document = await readXmlBody(exchange);
  if (document.name !== 'StorageServiceProperties') throw new AzureFilesError('InvalidXmlDocument');
  for (const { name } of document.children) if (!Object.hasOwn(DEFAULT_PROPERTIES, name)) throw new AzureFilesError('InvalidXmlNodeValue');
  if ((childOf(document, 'Cors')?.children.length ?? 0) > CORS_RULES_MAX) throw new AzureFilesError('InvalidXmlNodeValue');
  const kept = shares.serviceProperties.map((before) => childOf(document, before.name) ?? before);
  const added = document.children.filter(({ name }) => !kept.some((one) => one.name === name));
  await shares.setServiceProperties([...kept, ...added]);
  exchange.reply(202, {});
}

async function getDelegationKey({ exchange, grant, account }: OperationContext): Promise<void> {
  const document = await readXmlBody(exchange);
  if (grant.kind !== 'token' || document.name !== 'KeyInfo') throw new AzureFilesError('InvalidXmlDocument');
  const now = Date.now();
  const start = textOf(document, 'Start') ?? `${new Date(now).toISOString().slice(0, 19)}Z`;
  const expiry = textOf(document, 'Expiry') ?? '';
  const livesMs = instantOf(expiry) - instantOf(start);
  if (!(livesMs > 0 && livesMs <= DELEGATION_MAX_MS && instantOf(expiry) > now)) {
    throw new AzureFilesError('InvalidXmlNodeValue', { elements: { XmlNodeName: 'Expiry', XmlNodeValue: expiry.slice(0, 64) } });
  }
  const version = exchange.header('x-ms-version') ?? '';
  const delegatedTenantId = textOf(document, 'DelegatedUserTid') ?? '';
  const { objectId, tenantId } = grant;
  const value = delegationKeyValue(account.key, { objectId, tenantId, start, expiry, version, delegatedTenantId });
  const fields = { SignedOid: objectId, SignedTid: tenantId, SignedStart: start, SignedExpiry: expiry, SignedService: 'f', SignedVersion: version };
  const elements = Object.entries(fields).map(([name, text]) => element(name, text)).join('') + element('SignedDelegatedUserTid', delegatedTenantId || undefined);
  exchange.replyXml(200, {}, xmlDocument(`<UserDelegationKey>${elements}${element('Value', value)}</UserDelegationKey>`));
}

function toXml({ name, text, children }: XmlElement): string {
  return `<${name}>${escapeXml(text.trim())}${children.map(toXml).join('')}</${name}>`;
}
