import type { TokenCredential } from '@azure/identity';

import { ShareError } from '../share-error.js';
import { summaryOf } from './azure-files-error.js';

/**
 * With what the service itself reaches a storage account. All of it is secret, and nothing of it is handed to anybody:
 *
 * - `key`: the account's key, in base64. Opens every share of the account for everything.
 * - `sas`: a shared access signature, without the question mark: of the account, or of the share (`sr=s`, `sp=rcwdl`). It can sign nothing: nodes get
 *   no https mounts, and copies read by `readSas`, one that can read only; without it the share is no source of copies.
 * - `token`: tokens of an identity, as those of `@azure/identity`. What is handed out is signed with user delegation keys.
 */
export type AzureFilesCredential =
  | { readonly kind: 'key'; readonly key: string }
  | { readonly kind: 'sas'; readonly sas: string; readonly readSas?: string | undefined }
  | { readonly kind: 'token'; readonly token: TokenCredential };

/**
 * Refuses what must not be used: tokens over plain http, and a `readSas` that may do more than read.
 * @throws {ShareError} `SHARE_DENIED`
 */
export function checkCredential(credential: AzureFilesCredential, account: string, endpoint: string): void {
  const refuse = (why: string): never => {
    throw new ShareError('SHARE_DENIED', `account ${account}: ${why}`, { details: { account } });
  };
  if (credential.kind === 'token' && !endpoint.startsWith('https:')) refuse('tokens are only sent over https');
  if (credential.kind !== 'sas' || credential.readSas === undefined) return;
  const permissions = new URLSearchParams(credential.readSas).get('sp') ?? '';
  if (!/^[rl]+$/.test(permissions)) refuse('the signature for reading must allow reading and listing at most');
}

/** The same tokens; a failure to get one is a {@link ShareError}, `SHARE_UNAVAILABLE` and transient: whoever gives them may be away for a moment. */
export function toldAsShareErrors(tokens: TokenCredential, account: string): TokenCredential {
  return {
    getToken: async (scopes, options) => {
      try {
        return await tokens.getToken(scopes, options);
      } catch (error) {
        const why = summaryOf(error);
        throw new ShareError('SHARE_UNAVAILABLE', `account ${account}: no token could be had: ${why}`, { cause: new Error(why), transient: true, details: { account } });
      }
    },
  };
}
