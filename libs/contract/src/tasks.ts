import { z } from 'zod';

import { CURSOR_LENGTH_MAX, pageOf, pageParameters } from './page.js';
import { Code, Count, DigestText, Instant, ReferenceText, RepositoryName, Sentence, ShareText } from './words.js';

/** The kinds of stored work, in the order in which an image goes through them. */
export const TASK_KINDS = ['examination', 'backfill', 'expansion', 'copy', 'removal'] as const;

/** What a task is to do. */
export const TaskKind = z
  .enum(TASK_KINDS)
  .meta({ description: 'examination: read a reference from the registry; backfill: list a repository\'s tags; expansion: expand a layer, or make a merged view; copy: copy it to a share; removal: remove it from one.' });

/** How a task stands. */
export const TaskState = z.enum(['claimed', 'blocked', 'waiting', 'due', 'refused']).meta({
  description: 'claimed: a worker has it; blocked: nobody is given it as things are; waiting: it is left alone until nextTryAt, after a failure or by order; due: the next free worker takes it; refused: it was given up.',
});

const TaskId = z.string().min(1).max(CURSOR_LENGTH_MAX).regex(/^[A-Za-z0-9_-]+$/, { error: 'must be the id of a task' }).meta({ description: 'Opaque; good as long as the task is open.' });

/** One piece of stored work. */
export const TaskEntry = z
  .object({
    id: TaskId,
    kind: TaskKind,
    state: TaskState,
    layer: DigestText.optional(),
    view: z.literal(true).optional().meta({ description: 'Present where the layer is the merged view of an image.' }),
    share: ShareText.optional(),
    repository: RepositoryName.optional(),
    reference: z.string().max(255).optional(),
    wantedAt: Instant,
    attempts: Count.meta({ description: 'Times that a worker took it since it was wanted.' }),
    nextTryAt: Instant.optional().meta({ description: 'Until when it is left alone; absent where that is over.' }),
    lastError: Sentence.optional().meta({ description: 'Why the last try failed, or why it was refused.' }),
    blockedBy: Code.optional().meta({
      description: 'SOURCE_MISSING: no other share has the layer ready; COPIED_ELSEWHERE: the worker that copies it to another share does this copy next; LAYERS_WANTED: the layers of a merged view come first.',
    }),
    claimedBy: z.string().max(200).optional().meta({ description: 'The process that has it.' }),
    claimedUntil: Instant.optional().meta({ description: 'Until when it has it, if it does not go on.' }),
  })
  .meta({ description: 'A piece of stored work.' });

/** Which tasks to list. Filters narrow together; a task that has no such field does not match. */
export const TaskQuery = z.strictObject({
  ...pageParameters,
  kind: TaskKind.optional(),
  state: TaskState.optional(),
  failed: z.enum(['true']).optional().meta({ description: 'Only what has failed and not been done since.' }),
  layer: DigestText.optional(),
  share: ShareText.optional(),
  repository: RepositoryName.optional(),
  reference: ReferenceText.optional(),
});
/** Some tasks, kind by kind, each in the order in which workers take them. */
export const TaskPage = pageOf(TaskEntry);

/** Has a task tried at once. */
export const TaskRetry = z.strictObject({ id: TaskId }).meta({ description: 'Which task.' });

/** See {@link TaskKind}. */
export type TaskKind = z.infer<typeof TaskKind>;
/** See {@link TaskEntry}. */
export type TaskEntry = z.infer<typeof TaskEntry>;
/** See {@link TaskQuery}. */
export type TaskQuery = z.infer<typeof TaskQuery>;
/** See {@link TaskRetry}. */
export type TaskRetry = z.infer<typeof TaskRetry>;
