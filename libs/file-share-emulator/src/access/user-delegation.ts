import { DAY_MS } from '#quantities';

import type { EmulatedAccount } from '../emulator-options.js';
import type { RequestHead } from '../exchange.js';
import type { Access } from './access.js';
import type { Identity } from './bearer-token.js';
import type { Grant } from './grant.js';
import { checkOrigin, checkTimes, instantOf, notSigned, sasQuery, sasRefused } from './sas-restrictions.js';
import { canonicalResource, OVERRIDE_NAMES, overridesOf } from './service-sas.js';
import { isSignatureOf, sign } from './signing.js';

/** How long a user delegation key may live. */
export const DELEGATION_MAX_MS = 7 * DAY_MS;
/** The first version in which Azure Files takes these signatures. */
const VERSION_MIN = '2025-07-05';

/** What a user delegation key is issued for; all of it is repeated in every URL signed with the key. */
export interface DelegationKeyFields {
  readonly objectId: string;
  readonly tenantId: string;
  readonly start: string;
  readonly expiry: string;
  readonly version: string;
  /** The tenant of the users a signature may be bound to; empty for none. */
  readonly delegatedTenantId: string;
}

/** The value of a user delegation key (base64): computed from the account's key, so that none has to be kept. */
export function delegationKeyValue(accountKey: string, fields: DelegationKeyFields): string {
  const { objectId, tenantId, start, expiry, version, delegatedTenantId } = fields;
  return sign(['user delegation key', objectId, tenantId, start, expiry, 'f', version, delegatedTenantId].join('\n'), accountKey);
}

/** With what a user delegation SAS is checked. */
export interface UserDelegationCheck {
  readonly account: EmulatedAccount;
  /** Whose token came with the request. */
  readonly identity: Identity | undefined;
  readonly access: Access;
  readonly now: Date;
}

/**
 * Checks the user delegation SAS in a request's URL: signature, both time frames, protocol, address and the user it is bound to.
 * @returns what it allows: never more than its issuer may do at this moment.
 * @throws {AzureFilesError}
 */
export function checkUserDelegationSas(head: RequestHead, { account, identity, access, now }: UserDelegationCheck): Grant {
  const query = sasQuery(head);
  if (query('si') !== '') throw sasRefused('A user delegation SAS has no stored access policy');
  if (query('sv') < VERSION_MIN) throw sasRefused(`sv is older than ${VERSION_MIN}`);
  if (query('sks') !== 'f') throw sasRefused('sks is not f');
  const names = ['skoid', 'sktid', 'skt', 'ske', 'sks', 'skv', 'skdutid', 'sduoid', 'sip', 'spr', 'sv', ...OVERRIDE_NAMES];
  const text = [query('sp'), query('st'), query('se'), canonicalResource(head, query), ...names.map(query)].join('\n');
  const fields = { objectId: query('skoid'), tenantId: query('sktid'), start: query('skt'), expiry: query('ske'), version: query('skv'), delegatedTenantId: query('skdutid') };
  if (!isSignatureOf(query('sig'), [text], delegationKeyValue(account.key, fields))) throw notSigned(text);
  if (!(instantOf(fields.expiry) - instantOf(fields.start) <= DELEGATION_MAX_MS)) throw sasRefused('The user delegation key lives too long');
  checkTimes(fields.start, fields.expiry, now);
  checkTimes(query('st'), query('se'), now);
  checkOrigin(head, query);
  const bound = query('sduoid');
  if (bound !== '' && identity?.objectId !== bound) throw sasRefused('The token is not the one of the user that the signature is bound to');
  if (bound === '' && identity !== undefined) throw sasRefused('A signature that is bound to no user takes no token');
  const allowed = access.tokens?.permissionsOf(fields.objectId) ?? '';
  const permissions = query('sp').split('').filter((letter) => allowed.includes(letter)).join('');
  return { kind: 'service-sas', permissions, resource: query('sr') === 's' ? 's' : 'f', overrides: overridesOf(query) };
}
