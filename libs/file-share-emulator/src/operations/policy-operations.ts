import { AzureFilesError } from '../azure-error.js';
import { changeHeaders } from '../headers.js';
import { checkLease } from '../lease.js';
import { type Operation, type OperationContext, shareOf } from '../operation.js';
import { readXmlBody } from '../request-body.js';
import type { StoredPolicy } from '../storage/share-record.js';
import { instantOf } from '../access/sas-restrictions.js';
import { element, xmlDocument } from '../xml.js';
import { childOf, textOf, type XmlElement } from '../xml-reader.js';

/** Stored access policies of a share. */
const POLICIES_MAX = 5;
const ID_CHARACTERS_MAX = 64;

/** Operations on the stored access policies of a share. */
export const policyOperations: readonly Operation[] = [
  { name: 'Get Share ACL', method: 'GET', target: 'share', restype: 'share', comp: 'acl', needs: { level: 'c', anyOf: 'r' }, run: getPolicies },
  { name: 'Get Share ACL', method: 'HEAD', target: 'share', restype: 'share', comp: 'acl', needs: { level: 'c', anyOf: 'r' }, run: getPolicies },
  { name: 'Set Share ACL', method: 'PUT', target: 'share', restype: 'share', comp: 'acl', needs: { level: 'c', anyOf: 'w' }, run: setPolicies },
];

async function getPolicies(context: OperationContext): Promise<void> {
  const { record } = shareOf(context);
  const identifiers = record.policies.map(({ id, start, expiry, permission }) => {
    const policy = element('Start', start) + element('Expiry', expiry) + element('Permission', permission);
    return `<SignedIdentifier>${element('Id', id)}<AccessPolicy>${policy}</AccessPolicy></SignedIdentifier>`;
  });
  context.exchange.replyXml(200, changeHeaders(record.changedAt), xmlDocument(`<SignedIdentifiers>${identifiers.join('')}</SignedIdentifiers>`));
}

async function setPolicies(context: OperationContext): Promise<void> {
  const { exchange, shares } = context;
  const share = shareOf(context);
  checkLease(share.record.lease, { id: exchange.header('x-ms-lease-id'), writes: false, now: Date.now() });
  const document = exchange.header('content-length') === '0' ? undefined : await readXmlBody(exchange);
  if (document !== undefined && document.name !== 'SignedIdentifiers') throw new AzureFilesError('InvalidXmlDocument');
  const policies = (document?.children ?? []).map(readPolicy);
  const isRepeated = new Set(policies.map(({ id }) => id)).size < policies.length;
  if (policies.length > POLICIES_MAX || isRepeated) throw new AzureFilesError('InvalidXmlDocument');
  const { record } = await shares.change(share.name, () => ({ policies }));
  exchange.reply(200, changeHeaders(record.changedAt));
}

function readPolicy(identifier: XmlElement): StoredPolicy {
  const id = textOf(identifier, 'Id') ?? '';
  const policy = childOf(identifier, 'AccessPolicy');
  const [start, expiry, permission] = [textOf(policy, 'Start'), textOf(policy, 'Expiry'), textOf(policy, 'Permission')];
  if (identifier.name !== 'SignedIdentifier' || id === '' || id.length > ID_CHARACTERS_MAX) throw invalidNode('Id', id);
  for (const [name, text] of [['Start', start], ['Expiry', expiry]] as const) if (text !== undefined && Number.isNaN(instantOf(text))) throw invalidNode(name, text);
  if (permission !== undefined && !/^[rcwdl]+$/.test(permission)) throw invalidNode('Permission', permission);
  return { id, start, expiry, permission };
}

function invalidNode(name: string, value: string): AzureFilesError {
  return new AzureFilesError('InvalidXmlNodeValue', { elements: { XmlNodeName: name, XmlNodeValue: value.slice(0, 64) } });
}
