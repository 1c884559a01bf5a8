import type { DemandPage, ImageStatus, MountAnswerBody, PinEntry, PlanList, ReplicaPage } from '#contract';
import type { z } from 'zod';

/** The service as its users see it: over HTTP. */
export class ApiClient {
  readonly #url: string;
  readonly #adminToken: string;

  constructor(url: string, adminToken: string) {
    this.#url = url;
    this.#adminToken = adminToken;
  }

  /** Enables a repository. */
  async enable(repository: string): Promise<void> {
    await this.#admin('PUT', `repositories/${repository}`, { teleportEnabled: true });
  }

  /** How far an image is. Undefined while it is not known yet. */
  async status(repository: string, reference: string): Promise<ImageStatus | undefined> {
    const query = queryOf({ repository, reference });
    return (await this.#admin('GET', `images/status?${query}`, undefined, 404)) as ImageStatus | undefined;
  }

  /** The demand of a repository in a region. */
  async demand(region: string, repository: string): Promise<z.infer<typeof DemandPage>['items']> {
    return ((await this.#admin('GET', `demand?${queryOf({ region, repository })}`)) as z.infer<typeof DemandPage>).items;
  }

  /** The replicas of a region. */
  async replicas(region: string): Promise<z.infer<typeof ReplicaPage>['items']> {
    return ((await this.#admin('GET', `replicas?${queryOf({ share: region, limit: '500' })}`)) as z.infer<typeof ReplicaPage>).items;
  }

  /** The latest plan of each region. */
  async plans(): Promise<z.infer<typeof PlanList>['items']> {
    return ((await this.#admin('GET', 'plans')) as z.infer<typeof PlanList>).items;
  }

  /** Pins an image to a region. */
  async pin(repository: string, reference: string, region: string): Promise<PinEntry> {
    return (await this.#admin('POST', 'pins', { repository, reference, regions: [region], note: 'made by the demo' })) as PinEntry;
  }

  /** Deletes a pin. */
  async unpin(id: string): Promise<void> {
    await this.#admin('DELETE', `pins/${id}`);
  }

  /** Pulls an image as a node does. Undefined while its expansion has only begun. */
  async pull(repository: string, reference: string, from: { readonly region: string; readonly node: string }): Promise<MountAnswerBody | undefined> {
    const headers = { 'x-teleport-enabled': 'true', 'x-teleport-region': from.region, 'user-agent': from.node };
    const answer = await fetch(`${this.#url}/mount/v1/${repository}/_manifests/${reference}`, { headers });
    const body = await answer.text();
    if (answer.status === 409 || answer.status === 404) return undefined;
    if (!answer.ok) throw new Error(`the pull of ${repository}:${reference} was answered ${answer.status}: ${body.slice(0, 300)}`);
    return JSON.parse(body) as MountAnswerBody;
  }

  async #admin(method: string, path: string, body?: unknown, missingStatus?: number): Promise<unknown> {
    const answer = await fetch(`${this.#url}/api/v1/${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#adminToken}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (answer.status === missingStatus) return undefined;
    if (!answer.ok) throw new Error(`${method} ${path} was answered ${answer.status}: ${text.slice(0, 300)}`);
    return text === '' ? undefined : JSON.parse(text);
  }
}

function queryOf(parameters: Readonly<Record<string, string>>): string {
  return new URLSearchParams(parameters).toString();
}
