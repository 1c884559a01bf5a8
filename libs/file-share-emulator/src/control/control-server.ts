import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

import { CodedError, describeError } from '#errors';
import { KiB } from '#quantities';
import { z } from 'zod';

import { AzureFilesError } from '../azure-error.js';
import type { TrafficMeter } from '../traffic.js';
import { DISTURBANCE_SCHEMA } from './disturbance-schema.js';
import type { EmulatorControl } from './emulator-control.js';

const BODY_BYTES_MAX = 256 * KiB;
const PLACE = { account: z.string(), share: z.string(), path: z.string() };
const HANDLE = z.strictObject({ ...PLACE, clientIp: z.string().optional(), clientName: z.string().optional(), sharing: z.enum(['read', 'read-write', 'read-write-delete']).optional() });
const CLOSING = z.strictObject({ account: z.string(), share: z.string(), id: z.string() });
const DAMAGE = z.strictObject({ ...PLACE, offset: z.number().int().nonnegative() });

/** What the control port serves. */
export interface Controlled {
  readonly control: EmulatorControl;
  readonly traffic: TrafficMeter;
}

interface Answer {
  readonly status: number;
  readonly body?: unknown;
}

type Call = (controlled: Controlled, body: string) => Answer | Promise<Answer>;

/** The calls of the control port, by method and path. */
const CALLS: Readonly<Record<string, Call>> = {
  'GET /disturbances': ({ control }) => ({ status: 200, body: { ...control.settings, struck: control.struck } }),
  'PUT /disturbances': ({ control }, body) => {
    control.disturb(read(DISTURBANCE_SCHEMA, body));
    return { status: 204 };
  },
  'DELETE /disturbances': ({ control }) => {
    control.disturb({});
    return { status: 204 };
  },
  'POST /handles': async ({ control }, body) => {
    const { account, share, path, ...owner } = read(HANDLE, body);
    return { status: 201, body: await control.openHandle({ account, share, path }, owner) };
  },
  'DELETE /handles': ({ control }, body) => {
    const { id, ...place } = read(CLOSING, body);
    return { status: control.closeHandle(place, id) ? 204 : 404 };
  },
  'POST /damage': async ({ control }, body) => {
    const { offset, ...place } = read(DAMAGE, body);
    await control.damage(place, offset);
    return { status: 204 };
  },
  'GET /traffic': ({ traffic }) => ({ status: 200, body: traffic.snapshot() }),
};

/** Makes the server of the control port: JSON in and out, no credential. It is for the loopback address only. */
export function createControlServer(controlled: Controlled): Server {
  return createServer((request, response) => void serve(controlled, request, response));
}

async function serve(controlled: Controlled, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const answer = await answerTo(controlled, request);
  response.writeHead(answer.status, { 'content-type': 'application/json' });
  response.end(answer.body === undefined ? undefined : `${JSON.stringify(answer.body)}\n`);
}

async function answerTo(controlled: Controlled, request: IncomingMessage): Promise<Answer> {
  try {
    const key = `${request.method} ${request.url?.split('?')[0]}`;
    const call = Object.hasOwn(CALLS, key) ? CALLS[key] : undefined;
    if (call === undefined) return { status: 404, body: { error: `there is no ${key}`, calls: Object.keys(CALLS) } };
    // A page in a browser cannot send JSON to another origin without asking first, and is not answered then.
    if (request.method !== 'GET' && request.headers.origin !== undefined) return { status: 403, body: { error: 'not for browsers' } };
    return await call(controlled, await bodyOf(request));
  } catch (error) {
    if (error instanceof AzureFilesError) return { status: error.status, body: { error: describeError(error) } };
    if (error instanceof CodedError || error instanceof SyntaxError || error instanceof RangeError) return { status: 400, body: { error: describeError(error) } };
    return { status: 500, body: { error: describeError(error) } };
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > BODY_BYTES_MAX) throw new RangeError(`the body is longer than ${BODY_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function read<T>(schema: z.ZodType<T>, body: string): T {
  const parsed = schema.safeParse(JSON.parse(body));
  if (parsed.success) return parsed.data;
  throw new RangeError(parsed.error.issues.map((issue) => `${issue.path.join('.') || 'the body'}: ${issue.message}`).join('; '));
}
