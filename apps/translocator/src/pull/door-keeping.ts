import { type BeforeApplicationShutdown, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { Server } from 'node:http';

import { LookupDoor } from './lookup-door.js';

/** Puts the short way for lookups before the framework while the service runs. */
@Injectable()
export class DoorKeeping implements OnApplicationBootstrap, BeforeApplicationShutdown {
  constructor(
    private readonly door: LookupDoor,
    private readonly http: HttpAdapterHost,
  ) {}

  onApplicationBootstrap(): void {
    this.door.standBefore(this.http.httpAdapter.getHttpServer() as Server);
  }

  beforeApplicationShutdown(): void {
    this.door.close();
  }
}
