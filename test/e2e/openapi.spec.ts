import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { type GuardedWorld, startGuardedWorld } from './support/guarded-world.js';

interface Operation {
  readonly operationId: string;
  readonly summary?: string;
  readonly parameters?: readonly { readonly in: string; readonly name: string; readonly required?: boolean; readonly schema?: unknown }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema?: unknown }>> };
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Readonly<Record<string, { readonly schema?: unknown }>> }>>;
  readonly security?: readonly unknown[];
}

interface Description {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

let world: GuardedWorld;
let description: Description;
let text: string;
let operations: { readonly name: string; readonly path: string; readonly method: string; readonly operation: Operation }[];

beforeAll(async () => {
  world = await startGuardedWorld();
  const reply = await world.client.call<Description>('/api/openapi.json');
  ({ body: description, text } = reply);
  operations = Object.entries(description.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ name: `${method} ${path}`, path, method, operation })));
});
afterAll(() => world?.[Symbol.asyncDispose]());

describe('the description of the API', () => {
  it('is OpenAPI 3.1, with a page for people beside it', async () => {
    expect(description).toMatchObject({ openapi: expect.stringMatching(/^3\.1\./), info: { title: expect.any(String), version: expect.any(String) } });
    const page = await world.client.call('/api/docs');
    expect([page.status, page.headers['content-type']]).toEqual([200, expect.stringContaining('text/html')]);
  });

  it('declares the parameters of every path, and no others', () => {
    for (const { name, path, operation } of operations) {
      const inPath = [...path.matchAll(/\{([^}]+)\}/g)].map(([, parameter]) => parameter);
      const declared = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path');
      expect([name, declared.map((parameter) => parameter.name)]).toEqual([name, inPath]);
      for (const parameter of operation.parameters ?? []) expect([name, parameter.name, parameter.schema]).toEqual([name, parameter.name, expect.anything()]);
    }
  });

  it('names every operation once, and says what it is for', () => {
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { name, operation } of operations) expect([name, operation.summary]).toEqual([name, expect.stringMatching(/\S/)]);
  });

  it('has schemas for every body, answer and problem of the admin API', () => {
    const admin = operations.filter(({ path }) => path.startsWith('/api/v1/'));
    expect(admin.length).toBeGreaterThan(12);
    for (const { name, method, path, operation } of admin) {
      expect([name, operation.security]).toEqual([name, [expect.anything()]]);
      const contents = Object.entries(operation.responses).filter(([status]) => status !== '204').map(([status, response]) => [status, ...(Object.entries(response.content ?? {})[0] ?? [])] as const);
      // A stream is text.
      for (const [status, mediaType, found] of contents) expect([name, status, found?.schema]).toEqual([name, status, expect.objectContaining({ type: mediaType === 'text/event-stream' ? 'string' : 'object' })]);
      expect(Object.keys(operation.responses)).toEqual(expect.arrayContaining(['400', '401']));
      expect(Object.keys(operation.responses).some((status) => status.startsWith('2'))).toBe(true);
      const takesBody = method === 'put' || `${method} ${path}` === 'post /api/v1/pins';
      if (takesBody) expect([name, operation.requestBody?.content['application/json']?.schema]).toEqual([name, expect.objectContaining({ type: 'object' })]);
    }
  });

  it('refers to nothing that is not in it', () => {
    for (const [, reference] of text.matchAll(/"\$ref":"([^"]+)"/g)) {
      let found: unknown = description;
      for (const step of (reference ?? '').replace(/^#\//, '').split('/')) found = (found as Record<string, unknown> | undefined)?.[step.replaceAll('~1', '/').replaceAll('~0', '~')];
      expect([reference, found]).toEqual([reference, expect.anything()]);
    }
  });

  it('describes what is answered: the problem of a request is the declared one', async () => {
    const { body } = await world.client.admin<Record<string, unknown>>('pins?limit=0');
    const declared = description.paths['/api/v1/pins']?.['get']?.responses['400']?.content?.['application/json']?.schema as { properties: Record<string, unknown>; required: string[] };
    expect(Object.keys(declared.properties)).toEqual(expect.arrayContaining(Object.keys(body)));
    for (const member of declared.required) expect(body).toHaveProperty(member);
  });
});
