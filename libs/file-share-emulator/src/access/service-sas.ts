import type { EmulatedAccount } from '../emulator-options.js';
import type { RequestHead } from '../exchange.js';
import type { StoredPolicy } from '../storage/share-record.js';
import type { Grant, HeaderOverrides } from './grant.js';
import { checkOrigin, checkTimes, notSigned, sasQuery, type SasQuery, sasRefused } from './sas-restrictions.js';
import { isSignatureOf } from './signing.js';

/** By whose key a service SAS is checked, and what the share has on record. */
export interface ServiceSasCheck {
  readonly account: EmulatedAccount;
  readonly policies: readonly StoredPolicy[];
  readonly now: Date;
}

const OVERRIDES = { rscc: 'cache-control', rscd: 'content-disposition', rsce: 'content-encoding', rscl: 'content-language', rsct: 'content-type' };
/** The parameters of header overrides, in the order in which they are signed. */
export const OVERRIDE_NAMES: readonly string[] = Object.keys(OVERRIDES);

/**
 * Checks the service SAS in a request's URL: signature, stored access policy, times, protocol and address.
 * @returns what it allows.
 * @throws {AzureFilesError}
 */
export function checkServiceSas(head: RequestHead, { account, policies, now }: ServiceSasCheck): Grant {
  const query = sasQuery(head);
  const names = ['si', 'sip', 'spr', 'sv', ...OVERRIDE_NAMES];
  const text = [query('sp'), query('st'), query('se'), canonicalResource(head, query), ...names.map(query)].join('\n');
  if (!isSignatureOf(query('sig'), [text], account.key)) throw notSigned(text);
  const policy = query('si') === '' ? undefined : storedPolicy(policies, query('si'));
  const permissions = onceOf('sp', query('sp'), policy?.permission);
  checkTimes(onceOf('st', query('st'), policy?.start), onceOf('se', query('se'), policy?.expiry), now);
  checkOrigin(head, query);
  return { kind: 'service-sas', permissions, resource: query('sr') === 's' ? 's' : 'f', overrides: overridesOf(query) };
}

/** What a service SAS is for, as it is signed: the share, or the file the request is for. */
export function canonicalResource(head: RequestHead, query: SasQuery): string {
  const { account, share, path } = head.address;
  const resource = query('sr');
  if (share === undefined || (resource !== 's' && resource !== 'f')) throw sasRefused('sr is mandatory. Cannot be empty');
  return `/file/${account}/${share}${resource === 'f' ? `/${path}` : ''}`;
}

/** The headers that a signature overrides. */
export function overridesOf(query: SasQuery): HeaderOverrides {
  return Object.fromEntries(Object.entries(OVERRIDES).filter(([name]) => query(name) !== '').map(([name, header]) => [header, query(name)]));
}

function storedPolicy(policies: readonly StoredPolicy[], id: string): StoredPolicy {
  const policy = policies.find((candidate) => candidate.id === id);
  if (policy === undefined) throw sasRefused('The specified signed identifier is not found');
  return policy;
}

/** A value that comes from the URL or from the stored policy, never from both. */
function onceOf(name: string, given: string, stored: string | undefined): string {
  if (given !== '' && stored !== undefined) throw sasRefused(`${name} is given by the stored access policy and must not be in the URL`);
  return given === '' ? (stored ?? '') : given;
}
