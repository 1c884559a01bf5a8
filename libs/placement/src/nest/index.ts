import { Module } from '@nestjs/common';
import { DataSource } from 'typeorm';

import { PlanStore } from '../plan-store.js';
import { PlannerTurn } from '../planner-turn.js';
import { PostgresPlanStore } from '../typeorm/postgres-plan-store.js';
import { PostgresPlannerTurn } from '../typeorm/postgres-planner-turn.js';

/** Provides the plans' store and the planners' turn from the application's `DataSource`. */
@Module({
  providers: [
    { provide: PlanStore, useFactory: (dataSource: DataSource) => new PostgresPlanStore(dataSource), inject: [DataSource] },
    { provide: PlannerTurn, useFactory: (dataSource: DataSource) => new PostgresPlannerTurn(dataSource), inject: [DataSource] },
  ],
  exports: [PlanStore, PlannerTurn],
})
export class PlacementModule {}
