import { AzureFilesError } from '../azure-error.js';
import type { EmulatedAccount } from '../emulator-options.js';
import type { RequestHead } from '../exchange.js';
import type { Grant } from './grant.js';
import { checkOrigin, checkTimes, notSigned, sasQuery, type SasQuery } from './sas-restrictions.js';
import { isSignatureOf } from './signing.js';

/** From this version on, the text of an account SAS has a line for the encryption scope. */
const ENCRYPTION_SCOPE_VERSION = '2020-12-06';

/**
 * Checks the account SAS in a request's URL: signature, times, protocol, address and service.
 * @returns what it allows.
 * @throws {AzureFilesError}
 */
export function checkAccountSas(head: RequestHead, account: EmulatedAccount, now: Date): Grant {
  const query = sasQuery(head);
  const text = accountText(account.name, query);
  if (!isSignatureOf(query('sig'), [text], account.key)) throw notSigned(text);
  checkTimes(query('st'), query('se'), now);
  checkOrigin(head, query);
  if (!query('ss').includes('f')) throw new AzureFilesError('AuthorizationServiceMismatch');
  return { kind: 'account-sas', permissions: query('sp'), levels: query('srt') };
}

/** The text that an account SAS signs (Create an account SAS). */
function accountText(account: string, query: SasQuery): string {
  const names = ['sp', 'ss', 'srt', 'st', 'se', 'sip', 'spr', 'sv'];
  if (query('sv') >= ENCRYPTION_SCOPE_VERSION) names.push('ses');
  return `${[account, ...names.map(query)].join('\n')}\n`;
}
