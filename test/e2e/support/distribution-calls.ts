import { createHash, randomUUID } from 'node:crypto';
import { type IncomingHttpHeaders, request } from 'node:http';

/** What a registry answered to one call, without what differs between two registries that do the same. */
export interface CallAnswer {
  readonly call: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

/** Headers of a connection and of an instant. */
const PASSING = new Set(['date', 'connection', 'keep-alive']);
const OCTETS = { 'content-type': 'application/octet-stream' };
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
/** A bound against hanging, in milliseconds. */
const ANSWER_MAX_MS = 60_000;

function sha256(bytes: Buffer | string): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Calls one registry as the distribution specification has it, and remembers what it answered. */
class Caller {
  readonly answers: CallAnswer[] = [];

  constructor(private readonly url: string) {}

  /** Sends a call; `chunked` without a length. @returns where the answer leads. */
  async call(method: string, target: string, options: { readonly headers?: Readonly<Record<string, string>>; readonly body?: Buffer | string; readonly chunked?: boolean } = {}): Promise<string> {
    const { body, chunked = false, headers = {} } = options;
    const { hostname, port } = new URL(this.url);
    const length = body === undefined || chunked ? (body === undefined && method !== 'GET' && method !== 'HEAD' ? { 'content-length': '0' } : {}) : { 'content-length': String(Buffer.byteLength(body)) };
    const [status, found, text] = await new Promise<[number, IncomingHttpHeaders, string]>((resolve, reject) => {
      const sent = request({ hostname, port, method, path: target, headers: { ...length, ...headers }, agent: false, signal: AbortSignal.timeout(ANSWER_MAX_MS) }, (answer) => {
        const chunks: Buffer[] = [];
        const read = (): string => Buffer.concat(chunks).toString('latin1');
        // Some answers are shorter than they say: the registry ends the connection then, and so must what stands in front of it.
        answer.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => resolve([answer.statusCode ?? 0, answer.headers, `${read()} and then cut`]));
        answer.on('end', () => resolve([answer.statusCode ?? 0, answer.headers, read()]));
      });
      sent.on('error', (cause) => reject(new Error(`${method} ${target}: ${cause.message}`, { cause })));
      if (chunked && body !== undefined) sent.write(body);
      sent.end(chunked ? undefined : body);
    });
    const kept = Object.entries(found).filter(([name]) => !PASSING.has(name)).map(([name, value]) => [name, this.#plain(String(value))]);
    this.answers.push({ call: `${method} ${this.#plain(target)}`, status, headers: Object.fromEntries(kept), body: this.#plain(text) });
    // After a refusal the client goes on where it was.
    const location = found.location ?? target;
    return location.startsWith('http') ? location.slice(new URL(location).origin.length) : location;
  }

  /** Without the registry's address, the names of uploads and their state. */
  #plain(text: string): string {
    return text
      .replaceAll(this.url, 'REGISTRY')
      .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'UPLOAD')
      .replaceAll(/_state=[\w%=-]+/g, '_state=STATE');
  }
}

const withQuery = (location: string, query: string): string => `${location}${location.includes('?') ? '&' : '?'}${query}`;

/**
 * Makes the calls of OCI distribution-spec 1.1 on an empty registry: pull, push (monolithic, in one call, in chunks, streamed, mounted), content discovery, content management, and
 * what is wrong with each. @returns every answer, in order.
 */
export async function callDistribution(url: string): Promise<readonly CallAnswer[]> {
  const caller = new Caller(url);
  const call = caller.call.bind(caller);
  const blobs = ['one', 'two', 'three', 'four'].map((name) => Buffer.from(name.repeat(5000)));
  const [one, two, three, four] = blobs as [Buffer, Buffer, Buffer, Buffer];
  const config = Buffer.from('{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}');

  await call('GET', '/v2/');
  for (const method of ['GET', 'HEAD']) await call(method, '/v2/team/app/manifests/none');
  await call('GET', '/v2/team/app/tags/list');
  await call('GET', '/v2/Team/App/tags/list');
  await call('GET', '/v2/team/app/blobs/sha256:short');

  for (const blob of [one, config]) {
    const begun = await call('POST', '/v2/team/app/blobs/uploads/');
    await call('PUT', withQuery(begun, `digest=${sha256(blob)}`), { headers: OCTETS, body: blob });
  }
  await call('POST', `/v2/team/app/blobs/uploads/?digest=${sha256(two)}`, { headers: OCTETS, body: two });

  const chunks = await call('POST', '/v2/team/app/blobs/uploads/');
  const half = two.length / 2;
  let next = await call('PATCH', chunks, { headers: { ...OCTETS, 'content-range': `0-${half - 1}` }, body: two.subarray(0, half) });
  await call('GET', next);
  await call('PATCH', next, { headers: { ...OCTETS, 'content-range': `0-${half - 1}` }, body: two.subarray(0, half) });
  next = await call('PATCH', next, { headers: { ...OCTETS, 'content-range': `${half}-${two.length - 1}` }, body: two.subarray(half) });
  await call('PUT', withQuery(next, `digest=${sha256(two)}`));

  const streamed = await call('POST', '/v2/team/app/blobs/uploads/');
  next = await call('PATCH', streamed, { headers: OCTETS, body: three, chunked: true });
  await call('PUT', withQuery(next, `digest=${sha256(three)}`));
  const wrong = await call('POST', '/v2/team/app/blobs/uploads/');
  await call('PUT', withQuery(wrong, `digest=${sha256(one)}`), { headers: OCTETS, body: four });
  const ended = await call('POST', '/v2/team/app/blobs/uploads/');
  await call('DELETE', ended);
  await call('PATCH', ended, { headers: OCTETS, body: four });
  await call('PATCH', `/v2/team/app/blobs/uploads/${randomUUID()}`, { headers: OCTETS, body: four });
  await call('POST', `/v2/team/other/blobs/uploads/?mount=${sha256(one)}&from=team/app`);
  await call('POST', `/v2/team/other/blobs/uploads/?mount=${sha256(four)}&from=team/app`);

  for (const target of [sha256(one), sha256(four)]) for (const method of ['HEAD', 'GET']) await call(method, `/v2/team/app/blobs/${target}`);
  for (const range of ['bytes=0-4', 'bytes=10-', 'bytes=-5', 'bytes=9999999-']) await call('GET', `/v2/team/app/blobs/${sha256(one)}`, { headers: { range } });
  await call('GET', `/v2/team/other/blobs/${sha256(one)}`);

  const manifest = JSON.stringify({
    schemaVersion: 2, mediaType: MANIFEST,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: sha256(config), size: config.length },
    layers: [one, two].map((layer) => ({ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: sha256(layer), size: layer.length })),
  });
  const typed = { 'content-type': MANIFEST };
  for (const tag of ['v1', 'v2', 'v3']) await call('PUT', `/v2/team/app/manifests/${tag}`, { headers: typed, body: manifest });
  await call('PUT', `/v2/team/app/manifests/${sha256(manifest)}`, { headers: typed, body: manifest });
  await call('PUT', `/v2/team/app/manifests/${sha256('another')}`, { headers: typed, body: manifest });
  await call('PUT', '/v2/team/app/manifests/bad', { headers: typed, body: '{"no":"manifest"}' });
  await call('PUT', '/v2/team/app/manifests/bad', { headers: typed, body: manifest.replace(sha256(two), sha256(four)) });
  await call('PUT', '/v2/team/app/manifests/bad', { headers: { 'content-type': 'text/plain' }, body: manifest });
  for (const target of ['v1', sha256(manifest), 'none', sha256('none')]) for (const method of ['HEAD', 'GET']) await call(method, `/v2/team/app/manifests/${target}`, { headers: { accept: MANIFEST } });
  await call('GET', '/v2/team/app/manifests/v1', { headers: { accept: MANIFEST, 'if-none-match': `"${sha256(manifest)}"` } });

  for (const query of ['', '?n=2', '?n=2&last=v2', '?n=0', '?n=x']) await call('GET', `/v2/team/app/tags/list${query}`);
  for (const query of ['', '?n=1', '?n=1&last=team%2Fapp']) await call('GET', `/v2/_catalog${query}`);
  await call('GET', `/v2/team/app/referrers/${sha256(manifest)}`);

  await call('DELETE', '/v2/team/app/manifests/v3');
  for (let time = 0; time < 2; time += 1) await call('DELETE', `/v2/team/app/manifests/${sha256(manifest)}`);
  await call('GET', '/v2/team/app/manifests/v1', { headers: { accept: MANIFEST } });
  await call('GET', '/v2/team/app/tags/list');
  for (let time = 0; time < 2; time += 1) await call('DELETE', `/v2/team/app/blobs/${sha256(one)}`);
  await call('HEAD', `/v2/team/app/blobs/${sha256(one)}`);
  await call('POST', '/v2/');
  await call('GET', '/v2/nothing/of/the/kind');
  return caller.answers;
}
