import { Body, Get, HttpCode, Post, Query } from '@nestjs/common';
import { ApiConflictResponse, ApiNoContentResponse, ApiNotFoundResponse, ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { z } from 'zod';

import { Problem, readCursor, type TaskEntry, TaskPage, TaskQuery, TaskRetry, writeCursor } from '#contract';

import { HttpProblem } from '../http/http-problem.js';
import { AdminApi, markOf, notFound } from './admin-api.js';
import { isTaskPart, type ListedTask, TaskLists, type TaskPart } from './task-lists.js';

const Part = z.custom<TaskPart>(isTaskPart);
const TaskMark = z.object({ part: Part, after: z.array(z.union([z.string(), z.number()])).min(1).max(8) });
const TaskKey = z.tuple([Part], z.string());

/** What is to be done, what is being done, and what is stuck. */
@AdminApi('tasks', 'tasks')
export class TasksController {
  constructor(private readonly tasks: TaskLists) {}

  @Get()
  @ApiOperation({
    summary: 'Stored work that is not done, kind by kind, the next first',
    description: 'What moves in that order while pages are read may be shown twice, or not at all. With filters a page may have fewer entries than asked for, and yet a nextCursor.',
  })
  @ApiOkResponse({ standardSchema: TaskPage })
  async list(@Query({ schema: TaskQuery }) { cursor, limit, kind, state, failed, ...about }: TaskQuery): Promise<z.infer<typeof TaskPage>> {
    const filter = { ...about, ...(state === undefined ? {} : { standing: state }), ...(failed === undefined ? {} : { hasFailed: true }) };
    const { tasks, next } = await this.tasks.page({ after: markOf(cursor, TaskMark), limit, kind, filter });
    return { items: tasks.map(toEntry), ...(next === undefined ? {} : { nextCursor: writeCursor(next) }) };
  }

  @Post('retry')
  @HttpCode(204)
  @ApiOperation({ summary: 'Try a task again at once', description: 'For one that waits because it has failed. Its count of attempts stays. Repeating it changes nothing.' })
  @ApiNoContentResponse({ description: 'It is due.' })
  @ApiNotFoundResponse({ description: 'There is no such task any more.', standardSchema: Problem })
  @ApiConflictResponse({ description: 'It does not wait because of a failure.', standardSchema: Problem })
  async retry(@Body({ schema: TaskRetry }) { id }: TaskRetry): Promise<void> {
    const key = readCursor(id, TaskKey);
    const outcome = key === undefined ? 'NOT_OPEN' : await this.tasks.retry(key[0], key.slice(1));
    if (outcome === 'NOT_OPEN') throw notFound(`the task ${id.slice(0, 200)}`);
    if (outcome === 'due') return;
    throw new HttpProblem(409, {
      code: 'TASK_NOT_FAILED',
      title: 'The task does not wait after a failure',
      detail: 'only what has failed and waits for its next try is tried sooner: not what is claimed, due, refused or blocked, and no grace time',
    });
  }
}

function toEntry({ part, kind, work }: ListedTask): TaskEntry {
  const { key, subject, standing, blockedBy, wantedAt, attempts, nextTryAt, lastError, claim } = work;
  const { layer, isView, share, repository, reference } = subject;
  return {
    id: writeCursor([part, ...key]),
    kind,
    state: standing,
    ...(layer === undefined ? {} : { layer: layer as TaskEntry['layer'] }),
    ...(isView === undefined ? {} : { view: isView }),
    ...(share === undefined ? {} : { share }),
    ...(repository === undefined ? {} : { repository }),
    ...(reference === undefined ? {} : { reference }),
    wantedAt: wantedAt.toISOString(),
    attempts,
    ...(nextTryAt === undefined ? {} : { nextTryAt: nextTryAt.toISOString() }),
    ...(lastError === undefined ? {} : { lastError: lastError.slice(0, 2000) }),
    ...(blockedBy === undefined ? {} : { blockedBy }),
    ...(claim === undefined ? {} : { claimedBy: claim.owner, claimedUntil: claim.expiresAt.toISOString() }),
  };
}
