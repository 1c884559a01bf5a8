import { AzureFilesError } from '../azure-error.js';
import type { RequestHead } from '../exchange.js';
import type { Access } from './access.js';
import { checkAccountSas } from './account-sas.js';
import type { Identity } from './bearer-token.js';
import type { Grant } from './grant.js';
import { checkServiceSas } from './service-sas.js';
import { checkSharedKey } from './shared-key.js';
import { checkUserDelegationSas } from './user-delegation.js';

const BEARER = /^Bearer (\S+)$/i;
/** The only intent there is: tokens act past the permissions of files. */
const REQUEST_INTENT = 'backup';
/** The first version in which every operation takes tokens; before, only those on files and folders did. */
const TOKENS_EVERYWHERE_SINCE = '2024-11-04';

/**
 * Who is asking, and what they may do: by a signature in the URL, by an account key, or by a token. A signature that is bound to
 * an identity needs that identity's token beside it.
 * @throws {AzureFilesError} An account that does not exist is answered like a wrong signature.
 */
export function authenticate(head: RequestHead, access: Access, now: Date): Grant {
  const authorization = head.headers.get('authorization');
  const account = access.accounts.get(head.address.account);
  const isSigned = head.address.query.has('sig');
  if (authorization === undefined && !isSigned) {
    throw new AzureFilesError('NoAuthenticationInformation', { headers: { 'www-authenticate': access.tokens?.challenge ?? 'SharedKey' } });
  }
  if (account === undefined) throw new AzureFilesError('AuthenticationFailed');
  const token = BEARER.exec(authorization ?? '')?.[1];
  if (token === undefined && authorization !== undefined) {
    checkSharedKey(head, account, now);
    return { kind: 'account-key' };
  }
  const identity = token === undefined ? undefined : identify(head, access, { token, now });
  if (!isSigned) return grantOf(head, identity!);
  if (head.address.query.has('skoid')) return checkUserDelegationSas(head, { account, identity, now, access });
  if (head.address.query.has('ss')) return checkAccountSas(head, account, now);
  const policies = access.policiesOf(account.name, head.address.share ?? '');
  return checkServiceSas(head, { account, policies, now });
}

function identify(head: RequestHead, access: Access, { token, now }: { readonly token: string; readonly now: Date }): Identity {
  if (access.tokens === undefined) throw new AzureFilesError('InvalidAuthenticationInfo');
  if (!head.secure) throw new AzureFilesError('AuthenticationFailed', { elements: { AuthenticationErrorDetail: 'Bearer tokens are taken over HTTPS only.' } });
  return access.tokens.verify(token, now);
}

function grantOf(head: RequestHead, { objectId, tenantId, permissions }: Identity): Grant {
  const isForKey = head.address.query.get('comp') === 'userdelegationkey';
  if (head.address.path === '' && (head.headers.get('x-ms-version') ?? '') < TOKENS_EVERYWHERE_SINCE && !isForKey) {
    throw new AzureFilesError('AuthenticationFailed', { elements: { AuthenticationErrorDetail: 'This API does not support bearer tokens in this version.' } });
  }
  const intent = head.headers.get('x-ms-file-request-intent');
  if (intent === undefined && !isForKey) throw new AzureFilesError('MissingRequiredHeader', { elements: { HeaderName: 'x-ms-file-request-intent' } });
  if (intent !== undefined && intent.toLowerCase() !== REQUEST_INTENT) {
    throw new AzureFilesError('InvalidHeaderValue', { elements: { HeaderName: 'x-ms-file-request-intent', HeaderValue: intent.slice(0, 256) } });
  }
  return { kind: 'token', permissions, objectId, tenantId };
}
