import { randomUUID } from 'node:crypto';

import { TOKENS, type Reply, type ServiceClient } from './service-client.js';

/** What a registry's event says. */
export interface TestEvent {
  readonly action: 'push' | 'delete' | 'pull';
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: string;
  readonly id?: string;
}

/** What became of the events of a notification. */
export type Taken = { readonly accepted: number; readonly repeated: number; readonly skipped: number };

/** Sends events as a registry does. */
export function notify(client: ServiceClient, ...events: readonly TestEvent[]): Promise<Reply<Taken>> {
  return client.call('/notifications', { method: 'POST', body: envelope(...events), headers: { 'content-type': 'application/vnd.docker.distribution.events.v2+json', authorization: `Bearer ${TOKENS.notification}` } });
}

/** The registry event envelope around some events. */
export function envelope(...events: readonly TestEvent[]): string {
  return JSON.stringify({
    events: events.map(({ action, id = randomUUID(), ...target }) => ({ id, timestamp: new Date().toISOString(), action, target: { mediaType: 'application/vnd.oci.image.manifest.v1+json', ...target } })),
  });
}
