import { Global, Module } from '@nestjs/common';

import { WorkSignals } from './work-signals.js';

/** One set of signals for all loops of the process. */
@Global()
@Module({ providers: [{ provide: WorkSignals, useFactory: () => new WorkSignals() }], exports: [WorkSignals] })
export class WorkSignalsModule {}
