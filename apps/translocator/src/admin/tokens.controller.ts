import { randomUUID } from 'node:crypto';

import { Body, Delete, Get, HttpCode, Param, Post, Query, Req } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';

import { checkServiceToken, newSecretText, secretHashOf, type ServiceToken, ServiceTokenStore, TokenFeeder } from '#access';
import { after, Clock } from '#clock';
import { Id, PageQuery, TokenCreated, TokenCreation, TokenEntry, TokenPage } from '#contract';
import { DAY_MS } from '#quantities';
import { RegionMap } from '#regions';

import { callerOf } from '../http/callers.js';
import { AdminApi, invalidField, markOf, notFound, pageFrom } from './admin-api.js';

/** How long a token holds when its maker does not say. */
const TOKEN_LIFE_MS = 90 * DAY_MS;
const TokenMark = z.object({ createdAt: z.iso.datetime(), id: Id });

/** Tokens of programs other than nodes. */
@AdminApi('tokens', 'tokens')
export class TokensController {
  constructor(
    private readonly tokens: ServiceTokenStore,
    private readonly feeder: TokenFeeder,
    private readonly regions: RegionMap,
    private readonly clock: Clock,
  ) {}

  @Post()
  @ApiOperation({ summary: 'Make a service token', description: 'Its secret is in the answer and nowhere else: only its digest is kept.' })
  @ApiCreatedResponse({ standardSchema: TokenCreated })
  async create(@Body({ schema: TokenCreation }) body: TokenCreation, @Req() request: FastifyRequest): Promise<TokenCreated> {
    const unknown = body.regions?.findIndex((region) => !this.regions.has(region)) ?? -1;
    if (unknown >= 0) throw invalidField(`/regions/${unknown}`, body.regions?.[unknown], `must be a region of this deployment: ${this.regions.regions.map((region) => region.name).join(', ')}`);
    const now = this.clock.now();
    const id = randomUUID();
    const secret = newSecretText(id);
    const { name, scopes, repositories, regions, expiresAt } = body;
    const token = checkServiceToken({
      id, name, scopes,
      ...(repositories === undefined ? {} : { repositories }),
      ...(regions === undefined ? {} : { regions }),
      createdAt: now,
      createdBy: callerOf(request).actor,
      expiresAt: expiresAt === undefined ? after(now, TOKEN_LIFE_MS) : new Date(expiresAt),
    });
    const stored = await this.tokens.create({ token, secretHash: secretHashOf(secret) });
    // Known here before its maker can show it; everywhere else at the next look.
    await this.feeder.look();
    return { ...toEntry(stored, now), secret };
  }

  @Get()
  @ApiOperation({ summary: 'Service tokens, the oldest first, without their secrets' })
  @ApiOkResponse({ standardSchema: TokenPage })
  async list(@Query({ schema: PageQuery }) { cursor, limit }: PageQuery): Promise<z.infer<typeof TokenPage>> {
    const mark = markOf(cursor, TokenMark);
    const rows = await this.tokens.list({ after: mark === undefined ? undefined : { createdAt: new Date(mark.createdAt), id: mark.id }, limit: limit + 1 });
    const now = this.clock.now();
    return pageFrom(rows, limit, { entry: (row) => toEntry(row, now), mark: (row) => ({ createdAt: row.createdAt.toISOString(), id: row.id }) });
  }

  @Get(':id')
  @ApiOperation({ summary: 'One service token, without its secret' })
  @ApiOkResponse({ standardSchema: TokenEntry })
  async get(@Param('id', { schema: Id }) id: string): Promise<TokenEntry> {
    const token = await this.tokens.get(id);
    if (token === undefined) throw notFound(`the token ${id}`);
    return toEntry(token, this.clock.now());
  }

  @Delete(':id')
  @HttpCode(204)
  @ApiOperation({ summary: 'Revoke a service token', description: 'When this answers, the token opens nothing in this process; a second later, in no process that reaches the database. It is shown for 90 days more.' })
  @ApiNoContentResponse()
  async revoke(@Param('id', { schema: Id }) id: string): Promise<void> {
    if ((await this.tokens.revoke(id, this.clock.now())) === undefined) throw notFound(`the token ${id}`);
    await this.feeder.look();
  }
}

function toEntry(token: ServiceToken, now: Date): TokenEntry {
  const { id, name, scopes, repositories, regions, createdAt, createdBy, expiresAt, revokedAt, lastUsedAt } = token;
  return {
    id, name, createdBy,
    scopes: [...scopes],
    ...(repositories === undefined ? {} : { repositories: [...repositories] }),
    ...(regions === undefined ? {} : { regions: [...regions] }),
    active: revokedAt === undefined && now < expiresAt,
    createdAt: createdAt.toISOString(),
    expiresAt: expiresAt.toISOString(),
    ...(revokedAt === undefined ? {} : { revokedAt: revokedAt.toISOString() }),
    ...(lastUsedAt === undefined ? {} : { lastUsedAt: lastUsedAt.toISOString() }),
  };
}
