import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { CloudEventBody } from '#contract';
import { LocalRegistry, type PushedManifest, pushImage } from '#registry/local';

import { eventually } from './support/eventually.js';
import { smallImage } from './support/real-layers.js';
import { type ServiceClient, TOKENS } from './support/service-client.js';
import { startService } from './support/start-service.js';

const SECRET = 'secret-of-the-webhook';
const HOME = 'westeurope';

/** What a webhook was sent. */
interface Sent {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

describe('what happens', () => {
  const undo = new AsyncDisposableStack();
  const sent: Sent[] = [];
  /** What the webhook answers to the next events; then it takes everything. */
  const answers: number[] = [503, 302, 500];
  let client: ServiceClient;
  let pushed: PushedManifest;

  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'translocator-e2e-'));
    undo.defer(() => rm(folder, { recursive: true, force: true }));
    const receiver: Server = createServer((asked, answer) => {
      void text(asked).then((body) => {
        sent.push({ headers: asked.headers, body });
        answer.writeHead(answers.shift() ?? 204, { location: 'http://127.0.0.1:9/elsewhere' }).end();
      });
    });
    receiver.listen(0, '127.0.0.1');
    await once(receiver, 'listening');
    undo.defer(() => new Promise<void>((resolve) => receiver.close(() => resolve())));
    undo.defer(async () => receiver.closeAllConnections());
    const registry = await LocalRegistry.start();
    undo.defer(() => registry.stop());
    const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
    const service = await startService(
      { folder: join(folder, 'service'), registryUrl: registry.url },
      { overrides: { events: { webhooks: [{ name: 'ops', url, types: ['translocator.layer.expanded', 'translocator.image.ready'] }] } }, environment: { TRANSLOCATOR_WEBHOOK_SECRETS: `ops=${SECRET}` } },
    );
    undo.defer(() => service.translocator.stop());
    client = service.client;
    pushed = await pushImage({ url: registry.url, repository: 'team/app' }, 'v1', smallImage('base', 'app'));
    await client.enable('team/app');
    await eventually('the image is whole at home', () => client.readyIn(HOME, 'team/app', 'v1'));
  }, 300_000);
  afterAll(() => undo.disposeAsync());

  const list = async (query = ''): Promise<{ items: CloudEventBody[]; nextCursor?: string }> => (await client.admin<{ items: CloudEventBody[]; nextCursor?: string }>(`events${query}`)).body;

  it('is listed, the newest first, page by page', async () => {
    const { items } = await eventually('all is told', async () => {
      const found = await list();
      // The image, its two layers and its merged view.
      return found.items.length === 4 && found;
    });
    const expanded = items.filter(({ type }) => type === 'translocator.layer.expanded').map(({ subject }) => subject);
    expect(expanded).toEqual(expect.arrayContaining([...pushed.layers]));
    expect(items.find(({ type }) => type === 'translocator.image.ready')).toMatchObject({ specversion: '1.0', subject: `team/app@${pushed.digest}`, data: { region: HOME, tags: ['v1'] } });
    const first = await list('?limit=1');
    expect((await list(`?limit=1&cursor=${first.nextCursor}`)).items).toEqual([items[1]]);
    expect((await list('?type=translocator.image.ready')).items.map(({ type }) => type)).toEqual(['translocator.image.ready']);
    expect((await client.admin('events?type=nonsense')).status).toBe(400);
    expect((await client.call('/api/v1/events')).status).toBe(401);
  });

  it('is told to a webhook that failed at first, signed, each event under its one id, in order', async () => {
    const listed = (await list()).items.filter(({ type }) => type === 'translocator.layer.expanded' || type === 'translocator.image.ready').toReversed();
    const told = await eventually('all is told', () => sent.length >= listed.length + 3 && sent.map(({ body }) => JSON.parse(body) as CloudEventBody));
    const [refused, taken] = [told.slice(0, 3), told.slice(3)];
    expect(new Set([...refused, taken[0]!].map(({ id }) => id)).size).toBe(1);
    expect(new Set(taken.map(({ id }) => id)).size).toBe(taken.length);
    expect(taken.map(({ id }) => id)).toEqual(listed.map(({ id }) => id).slice(0, taken.length));
    for (const { headers, body } of sent) {
      expect(headers['content-type']).toContain('application/cloudevents+json');
      const signed = createHmac('sha256', SECRET).update(`${headers['webhook-id'] as string}.${headers['webhook-timestamp'] as string}.${body}`).digest('base64');
      expect(headers['webhook-signature']).toBe(`v1,${signed}`);
    }
    expect((await client.call('/metrics')).text).toMatch(/translocator_webhook_events_total\{webhook="ops",outcome="failed"\} 3/);
  });

  /** Opens the stream and reads messages until there are so many. */
  async function messages(count: number, { path = '', headers = {} }: { path?: string; headers?: Record<string, string> } = {}): Promise<{ id: string; event: string; data: CloudEventBody }[]> {
    const asked = request(new URL(`/api/v1/events/stream${path}`, client.url), { headers: { authorization: `Bearer ${TOKENS.admin}`, ...headers } });
    asked.end();
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    expect([answer.statusCode, answer.headers['content-type']]).toEqual([200, 'text/event-stream']);
    let received = '';
    // What begins with a colon only says that the connection lives.
    const whole = (): string[] => received.split('\n\n').slice(0, -1).filter((message) => !message.startsWith(':'));
    for await (const chunk of answer.setEncoding('utf8')) {
      received += String(chunk);
      if (whole().length >= count) break;
    }
    asked.destroy();
    return whole().slice(0, count).map((message) => {
      const fields = new Map(message.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]));
      return { id: fields.get('id')!, event: fields.get('event')!, data: JSON.parse(fields.get('data')!) as CloudEventBody };
    });
  }

  it('is streamed from any event on, to a listener that comes again', async () => {
    const all = (await list()).items.toReversed();
    const first = await messages(all.length, { path: '?after=0-0' });
    expect(first.map(({ data }) => data.id)).toEqual(all.map(({ id }) => id));
    expect(first.map(({ event }) => event)).toEqual(all.map(({ type }) => type));
    const again = await messages(1, { headers: { 'last-event-id': first[0]!.id } });
    expect(again[0]!.data.id).toBe(all[1]!.id);
    const [ready] = await messages(1, { path: '?after=0-0&type=translocator.image.ready' });
    expect(ready!.event).toBe('translocator.image.ready');
    expect((await client.admin('events/stream?after=yesterday')).status).toBe(400);
  });

  it('is streamed as it happens', async () => {
    expect((await list('?type=translocator.layer.replicated')).items).toEqual([]);
    // From the beginning: on a busy machine it may happen before the listener is there.
    const listening = messages(1, { path: '?after=0-0&type=translocator.layer.replicated' });
    await eventually('the image can be pinned', async () => (await client.admin('pins', { method: 'POST', json: { repository: 'team/app', reference: 'v1', regions: ['eastus'] } })).status === 201);
    expect((await listening)[0]!.data).toMatchObject({ type: 'translocator.layer.replicated', data: { region: 'eastus' } });
  });
});
