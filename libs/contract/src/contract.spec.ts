import { describe, expect, expectTypeOf, it } from 'vitest';
import { z } from 'zod';

import { ACCESS_SCOPES } from '#access';
import { PULL_REASONS, type LookupRequest, type MountAnswer, type RewriteRequest, TRANSPORTS } from '#mounts';
import { isRepositoryName } from '#oci';

import * as contract from '../index.js';

const schemas = Object.entries<unknown>(contract).flatMap(([name, each]): [string, z.ZodType][] => (each instanceof z.ZodType ? [[name, each]] : []));

interface JsonSchema {
  readonly type?: string;
  readonly [keyword: string]: unknown;
}

/** Every schema within a JSON Schema, with the way to it. */
function* within(schema: unknown, path: string): Generator<[string, JsonSchema]> {
  if (typeof schema !== 'object' || schema === null) return;
  if (!Array.isArray(schema)) yield [path, schema as JsonSchema];
  for (const [key, value] of Object.entries(schema)) if (key !== 'examples') yield* within(value, `${path}/${key}`);
}

function isBounded(schema: JsonSchema): boolean {
  if (schema.type === 'array') return 'maxItems' in schema;
  if (schema.type !== 'string') return true;
  if ('maxLength' in schema || 'enum' in schema || 'const' in schema || schema['format'] === 'date-time') return true;
  // A pattern without a repetition that has no end.
  return typeof schema['pattern'] === 'string' && !/[*+]|\{\d+,\}/.test(schema['pattern']);
}

describe('the contract', () => {
  it.each(schemas)('%s becomes a JSON Schema for OpenAPI, both as input and as output', (_name, schema) => {
    for (const io of ['input', 'output'] as const) expect(z.toJSONSchema(schema, { io })).toBeTypeOf('object');
  });

  it.each(schemas)('%s has a limit on every string and every list', (name, schema) => {
    const unbounded = [...within(z.toJSONSchema(schema, { io: 'input' }), name)].filter(([, each]) => !isBounded(each)).map(([path]) => path);
    expect(unbounded).toEqual([]);
  });

  it('names the same scopes as the room that checks them', () => {
    expect(contract.TOKEN_SCOPES).toEqual(ACCESS_SCOPES);
  });

  it('names the same reasons and transports as the answers', () => {
    expect(contract.PullReasonCode.options).toEqual([...PULL_REASONS]);
    expect(contract.TransportName.options).toEqual([...TRANSPORTS]);
  });

  it('has the same grammar of repository names as the registry', () => {
    for (const name of ['a', 'team/app', 'a__b', 'a--b/c.d', 'A', 'a//b', '../a', 'a/', '', 'a..b', 'é', 'a b', 'a\n', 'a'.repeat(255), 'a'.repeat(256)]) {
      expect([name, contract.RepositoryName.safeParse(name).success]).toEqual([name, isRepositoryName(name)]);
    }
  });

  it('reads what lookups take, and what they answer', () => {
    expectTypeOf<contract.LookupBody>().toExtend<Omit<LookupRequest, 'onlyBlobs'>>();
    expectTypeOf<contract.RewriteBody>().toExtend<Omit<RewriteRequest, 'onlyBlobs'>>();
    expectTypeOf<contract.MountAnswerBody>().toExtend<MountAnswer>();
  });

  it('refuses fields that it does not know in requests, and passes over them in responses', () => {
    expect(contract.RepositoryChange.safeParse({ teleportEnabled: true, teleport: 1 }).success).toBe(false);
    expect(contract.LeaseBody.parse({ id: '0b9f6c52-3b0e-4d53-9d5c-0f2a6f6f3f10', expiresAt: '2026-03-01T12:00:00.000Z', later: 1 })).not.toHaveProperty('later');
  });

  it('reads the numbers of a query from text', () => {
    expect(contract.PageQuery.parse({ limit: '7' })).toEqual({ limit: 7 });
    expect(contract.PageQuery.parse({})).toEqual({ limit: contract.PAGE_LIMIT_DEFAULT });
    for (const limit of ['0', '1001', 'many', '1.5', '']) expect(contract.PageQuery.safeParse({ limit }).success).toBe(false);
  });
});

describe('cursors', () => {
  const Mark = z.tuple([z.string(), z.number()]);

  it('give back the mark that they were written with', () => {
    const cursor = contract.writeCursor(['größe/ü?', 7]);
    expect(contract.PageQuery.parse({ cursor }).cursor).toBe(cursor);
    expect(contract.readCursor(cursor, Mark)).toEqual(['größe/ü?', 7]);
  });

  it.each(['', 'x', '!!', '____', contract.writeCursor({ other: true }), btoa('{"')])('are undefined when somebody made them up: %j', (text) => {
    expect(contract.readCursor(text, Mark)).toBeUndefined();
  });
});
