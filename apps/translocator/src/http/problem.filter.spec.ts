import { Controller, ForbiddenException, Get, HttpException, Inject, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { RegistryError } from '#registry';
import { ShareError } from '#shares';
import { createLogger } from '#telemetry';

import { HttpProblem } from './http-problem.js';
import { ProblemFilter } from './problem.filter.js';
import { SchemaProblem } from './schema-problem.js';

/** What the routes throw. */
class Trouble {
  error: unknown;
}

@Controller()
class TroubledController {
  constructor(@Inject(Trouble) private readonly trouble: Trouble) {}

  @Get(['api/v1/anything', 'mount/v1/team/app/_manifests/v1', 'acr/v1/team/app', 'oauth2/token'])
  fail(): never {
    throw this.trouble.error;
  }
}

@Module({ controllers: [TroubledController], providers: [Trouble] })
class TroubledModule {}

let app: NestFastifyApplication;
let lines: string[];
beforeEach(async () => {
  lines = [];
  app = await NestFactory.create<NestFastifyApplication>(TroubledModule, new FastifyAdapter(), { logger: false });
  app.useGlobalFilters(new ProblemFilter(createLogger('info', { write: (line: string) => void lines.push(line) }), () => 1024));
  await app.init();
});
afterEach(() => app.close());

async function answerTo(error: unknown, url = '/api/v1/anything') {
  app.get(Trouble).error = error;
  const { statusCode, headers, body } = await app.inject({ method: 'GET', url });
  return { status: statusCode, headers, body: JSON.parse(body) as Record<string, unknown> };
}

describe('what ends a request', () => {
  it('by a code of a room is told with that code and its status', async () => {
    const { status, headers, body } = await answerTo(new RegistryError('MANIFEST_UNKNOWN', 'team/app has no v9'));
    expect([status, headers['content-type']]).toEqual([404, expect.stringContaining('application/problem+json')]);
    expect(body).toEqual({ type: 'about:blank', title: 'Not found', status: 404, detail: 'team/app has no v9', code: 'MANIFEST_UNKNOWN' });
    expect(lines).toEqual([]);
  });

  it('and may pass says when to ask again, and is logged without the query', async () => {
    const { status, headers, body } = await answerTo(new ShareError('SHARE_BUSY', 'the share is busy', { transient: true }), '/api/v1/anything?token=hush');
    expect([status, headers['retry-after'], body['code']]).toEqual([503, '5', 'SHARE_BUSY']);
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0]!)).toMatchObject({ level: 'error', path: '/api/v1/anything', error: { code: 'SHARE_BUSY' } });
    expect(lines[0]).not.toContain('hush');
  });

  it('by a defect is told without any of its details, and logged with all of them', async () => {
    const { status, body } = await answerTo(new TypeError('cannot read property secret of undefined'));
    expect([status, body['code']]).toEqual([500, 'INTERNAL_ERROR']);
    expect(JSON.stringify(body)).not.toContain('secret of undefined');
    expect(lines[0]).toContain('secret of undefined');
    expect((await answerTo('thrown text')).status).toBe(500);
    // A foreign error with a code like ours, or with a status of a server's fault, is no error of ours.
    expect((await answerTo(Object.assign(new Error('x'), { code: 'MANIFEST_UNKNOWN' }))).body['code']).toBe('INTERNAL_ERROR');
    expect((await answerTo(new HttpException('inner words', 502))).body).toMatchObject({ status: 500, code: 'INTERNAL_ERROR' });
  });

  it('by the border itself is told with its headers and fields', async () => {
    const errors = [{ field: 'region', value: 'mars', rule: 'must be a region' }];
    const problem = new HttpProblem(401, { code: 'UNAUTHORIZED', title: 'Authentication required', detail: 'a token is needed', headers: { 'www-authenticate': 'Bearer' }, errors });
    const { status, headers, body } = await answerTo(problem);
    expect([status, headers['www-authenticate'], body['errors']]).toEqual([401, 'Bearer', errors]);
    const schema = { type: 'about:blank', title: 'The request is not valid', status: 400, detail: 'region: must be a region', code: 'REQUEST_INVALID', errors };
    expect((await answerTo(new SchemaProblem(schema))).body).toEqual(schema);
  });

  it('by the framework is told with a code, and with words of ours where its own leave out what was wrong', async () => {
    expect((await answerTo(new ForbiddenException('not for you'))).body).toMatchObject({ status: 403, code: 'DENIED', detail: 'not for you' });
    const missing = await app.inject({ method: 'GET', url: '/no/such?token=hush' });
    expect(missing.json()).toMatchObject({ status: 404, code: 'NOT_FOUND', detail: 'GET /no/such is not a route of this service' });
  });

  it.each(['/mount/v1/team/app/_manifests/v1', '/acr/v1/team/app', '/oauth2/token'])('on %s is told in the form of registries', async (url) => {
    const { status, headers, body } = await answerTo(new RegistryError('NAME_UNKNOWN', 'team/app is not known'), url);
    expect([status, headers['content-type']]).toEqual([404, expect.stringContaining('application/json')]);
    expect(body).toEqual({ errors: [{ code: 'NAME_UNKNOWN', message: 'team/app is not known' }] });
  });

  it('is told in bounded words', async () => {
    const { body } = await answerTo(new RegistryError('MANIFEST_UNKNOWN', 'x'.repeat(100_000)));
    expect(String(body['detail'])).toHaveLength(2000);
  });
});
