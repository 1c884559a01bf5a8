import { type DynamicModule, Module, type Type } from '@nestjs/common';

import type { Role } from '#config';

import { AccessModule } from './access/access.module.js';
import { AdminModule } from './admin/admin.module.js';
import { EventsModule } from './events/events.module.js';
import { type Foundation, FoundationModule } from './foundation/foundation.module.js';
import { HealthModule } from './health/health.module.js';
import { PullModule } from './pull/pull.module.js';
import { RegistryApiModule } from './registry-api/registry-api.module.js';
import { ControlModule } from './work/control.module.js';
import { WorkModule } from './work/work.module.js';
import { WorkerModule } from './work/worker.module.js';

/** What each role adds to a process. */
const MODULES_OF_ROLE: Readonly<Record<Role, readonly Type[]>> = {
  lookup: [PullModule, RegistryApiModule],
  control: [ControlModule, AdminModule, EventsModule],
  worker: [WorkerModule],
};

/** The whole service, or the roles of it that this process has. */
@Module({})
export class AppModule {
  static with(foundation: Foundation): DynamicModule {
    const roles = new Set(foundation.settings.config.roles);
    const ofRoles = [...roles].flatMap((role) => MODULES_OF_ROLE[role]);
    return { module: AppModule, imports: [FoundationModule.with(foundation), AccessModule, WorkModule, HealthModule.with(roles), ...ofRoles] };
  }
}
