import { Body, Get, Put, Query, Req } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';

import { Clock } from '#clock';
import { PageQuery, problemFromIssues, RepositoryChange, RepositoryEntry, RepositoryName, RepositoryPage } from '#contract';
import { type Repository, RepositoryStore } from '#registry';

import { SchemaProblem } from '../http/schema-problem.js';
import { WorkSignals } from '../work/work-signals.js';
import { AdminApi, markOf, notFound, pageFrom, percentOf } from './admin-api.js';

/** What the path names, which Nest's own parameters cannot: it has slashes. */
const RepositoryPath = z.object({ name: RepositoryName });

/** Which repositories are expanded, replicated and mounted. */
@AdminApi('repositories', 'repositories')
export class RepositoriesController {
  constructor(
    private readonly repositories: RepositoryStore,
    private readonly signals: WorkSignals,
    private readonly clock: Clock,
  ) {}

  @Get()
  @ApiOperation({ summary: 'Repositories that were ever enabled, by name' })
  @ApiOkResponse({ standardSchema: RepositoryPage })
  async list(@Query({ schema: PageQuery }) { cursor, limit }: PageQuery): Promise<RepositoryPage> {
    const after = markOf(cursor, z.string());
    const rows = await this.repositories.list({ limit: limit + 1, ...(after === undefined ? {} : { after }) });
    return pageFrom(rows, limit, { entry: toEntry, mark: (row) => row.name });
  }

  @Get('*')
  @ApiOperation({ summary: 'One repository, with the progress of its backfill' })
  @ApiParam({ name: 'path', description: 'The name of the repository, slashes as they are.', example: 'team/app' })
  @ApiOkResponse({ standardSchema: RepositoryEntry })
  async get(@Req() request: FastifyRequest): Promise<RepositoryEntry> {
    const name = nameOf(request);
    const repository = await this.repositories.get(name);
    if (repository === undefined) throw notFound(`the repository ${name}`);
    return toEntry(repository);
  }

  @Put('*')
  @ApiOperation({ summary: 'Enable or disable a repository', description: 'Enabling it has the tags that it has already examined, newest first. Disabling it lets its layers go after the grace time.' })
  @ApiParam({ name: 'path', description: 'The name of the repository, slashes as they are.', example: 'team/app' })
  @ApiOkResponse({ standardSchema: RepositoryEntry })
  async change(@Req() request: FastifyRequest, @Body({ schema: RepositoryChange }) { teleportEnabled }: RepositoryChange): Promise<RepositoryEntry> {
    const name = nameOf(request);
    const now = this.clock.now();
    const repository = teleportEnabled ? await this.repositories.enable(name, now) : await this.repositories.disable(name, now);
    if (repository === undefined) throw notFound(`the repository ${name}`);
    if (teleportEnabled) this.signals.examinationsWanted();
    return toEntry(repository);
  }
}

type RepositoryPage = z.infer<typeof RepositoryPage>;

function nameOf(request: FastifyRequest): string {
  const input = { name: (request.params as Record<string, string>)['*'] ?? '' };
  const parsed = RepositoryPath.safeParse(input);
  if (!parsed.success) throw new SchemaProblem(problemFromIssues(parsed.error, input));
  return parsed.data.name;
}

function toEntry({ name, enabled, changedAt, backfill }: Repository): RepositoryEntry {
  const { state, totalCount, doneCount, startedAt, finishedAt, lastError } = backfill;
  return {
    name,
    teleportEnabled: enabled,
    changedAt: changedAt.toISOString(),
    backfill: {
      state, totalCount, doneCount,
      percent: state === 'done' ? 100 : totalCount === 0 ? 0 : percentOf(doneCount, totalCount),
      ...(startedAt === undefined ? {} : { startedAt: startedAt.toISOString() }),
      ...(finishedAt === undefined ? {} : { finishedAt: finishedAt.toISOString() }),
      ...(lastError === undefined ? {} : { lastError }),
    },
  };
}
