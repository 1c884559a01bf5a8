import { Module } from '@nestjs/common';

import { ControlModule } from '../work/control.module.js';
import { DemandController } from './demand.controller.js';
import { ImageStatusReader } from './image-status.js';
import { ImagesController } from './images.controller.js';
import { PinsController } from './pins.controller.js';
import { PlansController } from './plans.controller.js';
import { RegionsController } from './regions.controller.js';
import { ReplicasController } from './replicas.controller.js';
import { RepositoriesController } from './repositories.controller.js';
import { TokensController } from './tokens.controller.js';
import { TrailController } from './trail.controller.js';

/** The admin API under /api/v1, for operators. */
@Module({
  imports: [ControlModule],
  controllers: [RegionsController, RepositoriesController, ImagesController, PinsController, ReplicasController, DemandController, PlansController, TokensController, TrailController],
  providers: [ImageStatusReader],
})
export class AdminModule {}
