import { type DynamicModule, Module } from '@nestjs/common';

import type { Role } from '#config';

import { PullModule } from '../pull/pull.module.js';
import { HealthController } from './health.controller.js';

/** Health and metrics of a process, whatever its roles are. */
@Module({ controllers: [HealthController] })
export class HealthModule {
  static with(roles: ReadonlySet<Role>): DynamicModule {
    return { module: HealthModule, imports: roles.has('lookup') ? [PullModule] : [] };
  }
}
