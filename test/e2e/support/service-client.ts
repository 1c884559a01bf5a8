import type { ImageStatus, MountAnswerBody, PlatformStatusBody, ReplicaEntry } from '#contract';

import { type RawCall, type RawReply, sendRaw } from './raw-http.js';

/** The tokens that every service of these tests is started with. */
export const TOKENS = {
  admin: 'admin-token-for-tests',
  service: 'service-token-for-tests',
  notification: 'notification-token-for-tests',
} as const;

/** What came back, and its body read as JSON where there is one. */
export interface Reply<Body> extends RawReply {
  readonly body: Body;
}

/** Speaks to one service as operators, registries and nodes do. */
export class ServiceClient {
  constructor(readonly url: string) {}

  /** Sends a request; `json` becomes its body. */
  async call<Body = unknown>(target: string, { json, ...call }: RawCall & { readonly json?: unknown } = {}): Promise<Reply<Body>> {
    const withBody = json === undefined ? call : { ...call, body: JSON.stringify(json), headers: { 'content-type': 'application/json', ...call.headers } };
    const reply = await sendRaw(this.url, target, withBody);
    const isJson = reply.text !== '' && /[/+]json/.test(String(reply.headers['content-type']));
    return { ...reply, body: (isJson ? JSON.parse(reply.text) : undefined) as Body };
  }

  /** As {@link call}, below /api/v1 and with the admin token. */
  admin<Body = unknown>(path: string, call: RawCall & { readonly json?: unknown } = {}): Promise<Reply<Body>> {
    return this.call(`/api/v1/${path}`, { ...call, headers: { authorization: `Bearer ${TOKENS.admin}`, ...call.headers } });
  }

  /** Enables a repository. @throws when the service refuses. */
  async enable(repository: string): Promise<void> {
    const { status, text } = await this.admin(`repositories/${repository}`, { method: 'PUT', json: { teleportEnabled: true } });
    if (status !== 200) throw new Error(`enabling ${repository} answered ${status}: ${text}`);
  }

  /** Asks as a node for the layers of an image. */
  pull(repository: string, reference: string, headers: Readonly<Record<string, string>> = {}): Promise<Reply<MountAnswerBody>> {
    return this.call(`/mount/v1/${repository}/_manifests/${reference}`, { headers });
  }

  /** How far an image is; undefined as long as it is not known. */
  async status(repository: string, reference: string): Promise<ImageStatus | undefined> {
    const { status, body } = await this.admin<ImageStatus>(`images/status?repository=${repository}&reference=${reference}`);
    return status === 200 ? body : undefined;
  }

  /** The only image behind a reference once it is whole in a region; undefined before. */
  async readyIn(region: string, repository: string, reference: string): Promise<PlatformStatusBody | undefined> {
    const image = (await this.status(repository, reference))?.images[0];
    return image?.regions.find((each) => each.region === region)?.state === 'ready' ? image : undefined;
  }

  /** All replicas, whatever their state. */
  async replicas(): Promise<ReplicaEntry[]> {
    const { body } = await this.admin<{ items: ReplicaEntry[] }>('replicas?limit=500');
    return body.items;
  }
}
