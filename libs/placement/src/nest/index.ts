import { Module } from '@nestjs/common';
import { DataSource } from 'typeorm';

import { ForecastLedger } from '../forecast-ledger.js';
import { PlanStore } from '../plan-store.js';
import { PlannerTurn } from '../planner-turn.js';
import { PostgresForecastLedger } from '../typeorm/postgres-forecast-ledger.js';
import { PostgresPlanStore } from '../typeorm/postgres-plan-store.js';
import { PostgresPlannerTurn } from '../typeorm/postgres-planner-turn.js';

/** Provides the plans' store, what they expected, and the planners' turn from the application's `DataSource`. */
@Module({
  providers: [
    { provide: ForecastLedger, useFactory: (dataSource: DataSource) => new PostgresForecastLedger(dataSource), inject: [DataSource] },
    { provide: PlanStore, useFactory: (dataSource: DataSource) => new PostgresPlanStore(dataSource), inject: [DataSource] },
    { provide: PlannerTurn, useFactory: (dataSource: DataSource) => new PostgresPlannerTurn(dataSource), inject: [DataSource] },
  ],
  exports: [ForecastLedger, PlanStore, PlannerTurn],
})
export class PlacementModule {}
