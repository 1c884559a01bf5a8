import { Injectable } from '@nestjs/common';

import type { RetryOutcome, WorkEntry, WorkFilter, WorkList, WorkMark } from '#claims';
import { Clock } from '#clock';
import { TASK_KINDS, type TaskKind } from '#contract';
import { ExpandedLayerStore } from '#expansion';
import { BackfillStore, ExaminationStore } from '#registry';
import { ReplicaStore } from '#replication';

import { WorkSurroundings } from '../work/work-surroundings.js';

/** Lists of tasks in the order in which pages go through them: those of each kind, and the expansions that were refused at the end. */
const PARTS = [...TASK_KINDS, 'refused'] as const;
/** One of the lists. */
export type TaskPart = (typeof PARTS)[number];

/** Where a page of tasks ended. */
export interface TaskMark {
  readonly part: TaskPart;
  readonly after: WorkMark;
}

/** A task, and the list that it is on. */
export interface ListedTask {
  readonly part: TaskPart;
  readonly kind: TaskKind;
  readonly work: WorkEntry;
}

/** All stored work of all kinds, as one list. */
@Injectable()
export class TaskLists {
  readonly #lists: Readonly<Record<TaskPart, WorkList>>;

  constructor(
    examinations: ExaminationStore,
    backfills: BackfillStore,
    layers: ExpandedLayerStore,
    replicas: ReplicaStore,
    private readonly surroundings: WorkSurroundings,
    private readonly clock: Clock,
  ) {
    this.#lists = { examination: examinations.work, backfill: backfills.work, expansion: layers.work, copy: replicas.copyWork, removal: replicas.removalWork, refused: layers.refused };
  }

  /** One page. Each list costs one statement at most. */
  async page(query: { readonly after?: TaskMark | undefined; readonly limit: number; readonly kind?: TaskKind | undefined; readonly filter: WorkFilter }): Promise<{ readonly tasks: readonly ListedTask[]; readonly next?: TaskMark }> {
    const { after, limit, kind, filter } = query;
    const tasks: ListedTask[] = [];
    const begin = after === undefined ? 0 : PARTS.indexOf(after.part);
    for (const part of PARTS.slice(begin)) {
      if (!canHave(part, kind, filter)) continue;
      const page = await this.#lists[part].list({ after: part === after?.part ? after.after : undefined, limit: limit - tasks.length, filter }, this.clock.now());
      tasks.push(...page.entries.map((work) => ({ part, kind: kindOf(part), work })));
      if (page.next !== undefined) return { tasks, next: { part, after: page.next } };
    }
    return { tasks };
  }

  /** Has a task that waits after a failure tried at once, in this process or another one. */
  async retry(part: TaskPart, key: readonly string[]): Promise<RetryOutcome> {
    const outcome = await this.#lists[part].retry(key, this.clock.now());
    const { signals } = this.surroundings;
    if (part === 'examination' || part === 'backfill') signals.examinationsWanted();
    else if (part === 'expansion') signals.layersWanted();
    else signals.replicasOrdered();
    return outcome;
  }
}

/** Whether `text` names a list. */
export function isTaskPart(text: unknown): text is TaskPart {
  return PARTS.some((part) => part === text);
}

/** The kind of the tasks on a list. */
function kindOf(part: TaskPart): TaskKind {
  return part === 'refused' ? 'expansion' : part;
}

/** Only refused expansions are refused. */
function canHave(part: TaskPart, kind: TaskKind | undefined, { standing }: WorkFilter): boolean {
  if (kind !== undefined && kindOf(part) !== kind) return false;
  return standing === undefined || (standing === 'refused') === (part === 'refused');
}
