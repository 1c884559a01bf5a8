import { Module } from '@nestjs/common';

import { PullHistory, StoredForecasts } from '#demand';
import { PLACEMENT_PARAMETERS_DEFAULT } from '#placement';
import { RegionMap } from '#regions';

import { ExportedHistory } from '../history/exported-history.js';
import { HistoryController } from '../history/history.controller.js';
import { ControlModule } from '../work/control.module.js';
import { StoredPlacementFacts } from '../work/planning-facts.js';
import { DemandForecasts } from './demand-forecasts.js';
import { DemandController } from './demand.controller.js';
import { DrainProgressReader } from './drain-progress.js';
import { ImageStatusReader } from './image-status.js';
import { ImagesController } from './images.controller.js';
import { LeasesController } from './leases.controller.js';
import { PinsController } from './pins.controller.js';
import { PlanOutcomesController } from './plan-outcomes.controller.js';
import { PlansController } from './plans.controller.js';
import { RegionsController } from './regions.controller.js';
import { ReplicasController } from './replicas.controller.js';
import { RepositoriesController } from './repositories.controller.js';
import { TaskLists } from './task-lists.js';
import { TasksController } from './tasks.controller.js';
import { TokensController } from './tokens.controller.js';
import { TrailController } from './trail.controller.js';

/** The admin API under /api/v1, for operators. */
@Module({
  imports: [ControlModule],
  controllers: [RegionsController, RepositoriesController, ImagesController, LeasesController, PinsController, ReplicasController, DemandController, HistoryController, PlansController, PlanOutcomesController, TasksController, TokensController, TrailController],
  providers: [
    DrainProgressReader,
    ImageStatusReader,
    TaskLists,
    {
      provide: DemandForecasts,
      useFactory: (forecasts: StoredForecasts, facts: StoredPlacementFacts) => new DemandForecasts({ forecasts, facts, horizonMs: PLACEMENT_PARAMETERS_DEFAULT.horizonMs }),
      inject: [StoredForecasts, StoredPlacementFacts],
    },
    {
      provide: ExportedHistory,
      useFactory: (history: PullHistory, facts: StoredPlacementFacts, regions: RegionMap) => new ExportedHistory({ history, facts, regions }),
      inject: [PullHistory, StoredPlacementFacts, RegionMap],
    },
  ],
})
export class AdminModule {}
