import { Agent } from 'node:http';
import { Agent as SecureAgent } from 'node:https';
import type { LookupFunction } from 'node:net';

import { createDefaultHttpClient, type HttpClient } from '@azure/core-rest-pipeline';
import { AnonymousCredential, newPipeline, type ShareClientConfig, ShareServiceClient, StorageSharedKeyCredential } from '@azure/storage-file-share';

import { TEST_KEY } from './temporary-emulator.js';

/** How a client of the Azure SDK is made for an emulator. */
export interface SdkClientOptions extends ShareClientConfig {
  /** Default: the key of every temporary emulator's account; null for a URL that is signed itself. */
  readonly credential?: Parameters<typeof newPipeline>[0] | null;
  /** PEM of the certificate to trust. */
  readonly ca?: string | undefined;
}

const toLoopback: LookupFunction = (_host, { all }, done) => {
  if (all === true) done(null, [{ address: '127.0.0.1', family: 4 }]);
  else done(null, '127.0.0.1', 4);
};

/** The unmodified client of the Azure SDK for the account at `url`, without retries; every host name leads to the loopback address. */
export function sdkClient(url: string, { credential, ca, ...config }: SdkClientOptions = {}): ShareServiceClient {
  const chosen = credential === null ? new AnonymousCredential() : (credential ?? new StorageSharedKeyCredential(accountOf(new URL(url)), TEST_KEY));
  const pipeline = newPipeline(chosen, { retryOptions: { maxTries: 1 } });
  // The one place where the SDK lets a connection be chosen without going through its older request types.
  Object.assign(pipeline, { _coreHttpClient: loopbackClient(ca) });
  return new ShareServiceClient(url, pipeline, config);
}

function accountOf({ hostname, pathname }: URL): string {
  return hostname.includes('.file.') ? hostname.split('.')[0]! : (pathname.split('/')[1] ?? '');
}

function loopbackClient(ca: string | undefined): HttpClient {
  const client = createDefaultHttpClient();
  const plain = new Agent({ keepAlive: true, lookup: toLoopback });
  const secure = new SecureAgent({ keepAlive: true, lookup: toLoopback, ca });
  return {
    sendRequest(request) {
      request.agent = request.url.startsWith('https:') ? secure : plain;
      return client.sendRequest(request);
    },
  };
}
