import { newPipeline, type RequestPolicyFactory, type ShareClient, ShareServiceClient } from '@azure/storage-file-share';

import { type Clock, SystemClock } from '#clock';

import { ACCOUNT_CALLS, AzureFilesCalls } from './azure-files-calls.js';
import { type AzureFilesCredential, checkCredential, toldAsShareErrors } from './azure-files-credential.js';
import { CallGate } from './call-gate.js';
import { DelegationKeys } from './delegation-keys.js';
import { FileGrants, type GrantSigner } from './file-grants.js';
import { QuickSigningKey } from './quick-signing-key.js';

/**
 * States the intent on every request: without it the service refuses tokens, because they pass over the access lists of files. The SDK's own setting
 * leaves it out of Get Share Properties and Get User Delegation Key (12.31.0).
 */
const STATING_INTENT: RequestPolicyFactory = {
  create: (next) => ({
    sendRequest: (request) => {
      request.headers.set('x-ms-file-request-intent', 'backup');
      return next.sendRequest(request);
    },
  }),
};

/** What a storage account is reached with. */
export interface AzureFilesAccountOptions {
  readonly name: string;
  /** `https://{account}.file.core.windows.net`, or `http://127.0.0.1:11004/{account}` for an emulator. */
  readonly endpoint: string;
  readonly credential: AzureFilesCredential;
  /** Default the machine's clock. */
  readonly clock?: Clock | undefined;
}

/**
 * A storage account, through Microsoft's SDK: what its shares have in common. The SDK's own retries are off: they come without jitter and ignore
 * `Retry-After`. One for each account, also when it has several shares: they share its limits.
 */
export class AzureFilesAccount {
  readonly name: string;
  /** Without a slash at the end. */
  readonly endpoint: string;
  readonly clock: Clock;
  readonly #service: ShareServiceClient;
  readonly #gate: CallGate;
  readonly #signer: GrantSigner | undefined;
  readonly #readSas: string | undefined;

  /** @throws {ShareError} `SHARE_DENIED` for tokens over plain http, and for a signature for reading that may do more. */
  constructor({ name, endpoint, credential, clock = new SystemClock() }: AzureFilesAccountOptions) {
    this.name = name;
    this.endpoint = endpoint.replace(/\/+$/, '');
    this.clock = clock;
    checkCredential(credential, name, this.endpoint);
    this.#gate = new CallGate(ACCOUNT_CALLS, clock);
    const options = { retryOptions: { maxTries: 1 } };
    switch (credential.kind) {
      case 'key': {
        const key = new QuickSigningKey(name, credential.key);
        this.#service = new ShareServiceClient(this.endpoint, key, options);
        this.#signer = { kind: 'key', key };
        break;
      }
      case 'sas':
        this.#service = new ShareServiceClient(`${this.endpoint}?${credential.sas}`, undefined, options);
        this.#readSas = credential.readSas;
        break;
      case 'token': {
        const pipeline = newPipeline(toldAsShareErrors(credential.token, name), options);
        pipeline.factories.push(STATING_INTENT);
        const service = new ShareServiceClient(this.endpoint, pipeline, { fileRequestIntent: 'backup' });
        this.#service = service;
        const calls = this.calls(name);
        const fetch = (startsOn: Date, expiresOn: Date) => calls.make({ path: '' }, (abortSignal) => service.getUserDelegationKey(startsOn, expiresOn, { abortSignal }));
        this.#signer = { kind: 'delegation', keys: new DelegationKeys(fetch, clock) };
      }
    }
  }

  /** Calls that may be under way on all its shares together now: what it was found to bear. */
  get callsWidth(): number {
    return this.#gate.width;
  }

  /** Makes calls to one share of the account, called `share` in errors. */
  calls(share: string): AzureFilesCalls {
    return new AzureFilesCalls(share, this.#gate, this.clock);
  }

  /** The SDK's client of one share. */
  client(shareName: string): ShareClient {
    return this.#service.getShareClient(shareName);
  }

  /** What signs grants for files of one share; undefined where the credential can sign nothing. */
  grants(shareName: string): FileGrants | undefined {
    if (this.#signer === undefined) return undefined;
    return new FileGrants({ signer: this.#signer, account: this.name, endpoint: this.endpoint, shareName, clock: this.clock });
  }

  /** Renews what grants are signed with, when half its life is over. @throws {ShareError} when there is nothing to sign with any more. */
  async renewGrants(): Promise<void> {
    if (this.#signer?.kind === 'delegation') await this.#signer.keys.renew();
  }

  /** The signature by which other shares may read every file of this account's, where the credential can sign nothing itself. */
  get readSas(): string | undefined {
    return this.#readSas;
  }
}
