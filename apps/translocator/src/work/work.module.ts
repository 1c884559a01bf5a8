import { Global, Module } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';

import { Clock } from '#clock';
import { type Logger, Metrics } from '#telemetry';

import { Settings } from '../foundation/settings.js';
import { LOGGER, ProcessName } from '../foundation/tokens.js';
import { WorkSignals } from './work-signals.js';
import { WorkSurroundings } from './work-surroundings.js';

/** What all work of a process shares, whatever its roles are. */
@Global()
@Module({
  imports: [ScheduleModule.forRoot()],
  providers: [
    { provide: WorkSignals, useFactory: () => new WorkSignals() },
    {
      provide: WorkSurroundings,
      useFactory: (...[process, { config }, clock, logger, metrics, signals]: [ProcessName, Settings, Clock, Logger, Metrics, WorkSignals]) =>
        new WorkSurroundings({ owner: process.text, config, clock, logger, metrics, signals }),
      inject: [ProcessName, Settings, Clock, LOGGER, Metrics, WorkSignals],
    },
  ],
  exports: [ScheduleModule, WorkSignals, WorkSurroundings],
})
export class WorkModule {}
