import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';

import { TokenFeeder } from '#access';

/** Keeps the token book like the database while the service runs; it is filled before the first request. */
@Injectable()
export class TokenFeeding implements OnModuleInit, OnApplicationShutdown {
  constructor(private readonly feeder: TokenFeeder) {}

  async onModuleInit(): Promise<void> {
    // Without a database the tokens of the snapshot and of the environment hold.
    await this.feeder.fill();
    this.feeder.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.feeder.stop();
  }
}
