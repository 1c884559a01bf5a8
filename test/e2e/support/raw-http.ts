import { type IncomingHttpHeaders, request } from 'node:http';

/** A request of which every byte of the target is the test's own choice. */
export interface RawCall {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

/** What came back. */
export interface RawReply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** A bound against hanging, in milliseconds: no answer takes as long, on the busiest machine. */
const ANSWER_MAX_MS = 60_000;

/** Sends `target` as it is: nothing is normalised, no connection is used again. */
export function sendRaw(url: string, target: string, call: RawCall = {}): Promise<RawReply> {
  const { hostname, port } = new URL(url);
  const { method = 'GET', headers = {}, body } = call;
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
  return new Promise((resolve, reject) => {
    const options = { hostname, port, method, path: target, headers: { ...length, ...headers }, agent: false, signal: AbortSignal.timeout(ANSWER_MAX_MS) } as const;
    const sent = request(options, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text: Buffer.concat(chunks).toString() }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}
