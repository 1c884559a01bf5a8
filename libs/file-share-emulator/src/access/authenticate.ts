import { AzureFilesError } from '../azure-error.js';
import type { EmulatedAccount } from '../emulator-options.js';
import type { RequestHead } from '../exchange.js';
import type { Grant } from './grant.js';
import { checkSharedAccessSignature } from './shared-access-signature.js';
import { checkSharedKey } from './shared-key.js';

/**
 * Who is asking, and what they may do: by an Authorization header, else by a signature in the URL.
 * @throws {AzureFilesError} An account that does not exist is answered like a wrong signature.
 */
export function authenticate(head: RequestHead, accounts: ReadonlyMap<string, EmulatedAccount>, now: Date): Grant {
  const authorization = head.headers.get('authorization');
  const account = accounts.get(head.address.account);
  if (authorization === undefined && !head.address.query.has('sig')) {
    throw new AzureFilesError('NoAuthenticationInformation', { headers: { 'www-authenticate': 'SharedKey' } });
  }
  if (account === undefined) throw new AzureFilesError('AuthenticationFailed');
  if (authorization === undefined) return checkSharedAccessSignature(head, account, now);
  checkSharedKey(head, account, now);
  return { kind: 'account-key' };
}
